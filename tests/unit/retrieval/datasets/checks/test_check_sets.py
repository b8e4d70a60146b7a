import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from retrieval.datasets.checks.check_sets import DataCheck, check_sets
from retrieval.datasets.checks.find_sets import open_all
from retrieval.datasets.miniature.formats.registry import WRITERS
from retrieval.datasets.miniature.mini import MiniSettings, write_mini

SMALL = MiniSettings(
    image_size=32, training_places=8, views=3, places=2, queries_per_place=1, positives=4, junk=1, distractors=4
)
UNREADABLE, MISSING, REFUSED = "unreadable image", "missing image", "refused data set"


@contextmanager
def unseen(what: str):
    yield lambda done, total: None


def check(folder: Path, **options) -> DataCheck:
    return check_sets(open_all(folder), unseen, threads=2, **options)


def written(folder: Path, format: str) -> Path:
    if not (folder / format).is_dir():
        write_mini(folder / format, settings=SMALL, format=format)
    return folder / format


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("roots")


def test_a_sweeps_data_is_counted(tiny_data: Path) -> None:
    checked = check(tiny_data)
    queries = {"images": 44, "queries": 8, "positives": 64, "junk": 8, "boxes": 8}
    assert {row.name: row.counts for row in checked.sets} == {
        "test": queries,
        "train": {"images": 96, "classes": 16},
        "val": queries,
    }
    assert checked.images == 184
    assert checked.errors == {}
    assert checked.warnings == [
        f"{name}: only 8 queries have an answer: one alone moves the score by 12%" for name in ("test", "val")
    ]


@pytest.mark.parametrize("format", WRITERS)
def test_every_format_of_the_miniature_benchmark_is_sound(folder: Path, format: str) -> None:
    checked = check(written(folder, format))
    assert checked.errors == {}
    assert [line for line in checked.warnings if "queries have an answer: one alone" not in line] == []
    assert all(row.treatment for row in checked.sets)


def test_what_a_sweep_does_with_a_set_is_said(folder: Path) -> None:
    market = {row.name: row.treatment for row in check(written(folder, "market1501"), decode=False).sets}
    assert any("own camera" in treatment for treatment in market.values())
    landmarks = {row.name: row.treatment for row in check(written(folder, "roxford5k"), decode=False).sets}
    assert "Easy, Medium and Hard" in landmarks["test/roxford5k"]
    assert "wrong answers" in landmarks["test/revisitop1m"]
    assert "3D models for labels, pairs as listed" in landmarks["train/retrieval-SfM-120k: train"]


def test_each_unreadable_file_has_a_line_with_its_reason_however_many_there_are(folder: Path, tmp_path: Path) -> None:
    root = shutil.copytree(written(folder, "utm"), tmp_path / "utm")
    victims = sorted((root / "town" / "images" / "test").rglob("*.jpg"))[:7]
    for victim in victims[:4]:
        victim.write_bytes(victim.read_bytes()[:-200])
    for victim in victims[4:]:
        victim.write_bytes(b"no image")
    checked = check(root)
    lines = sorted(checked.errors[UNREADABLE])
    assert [line.split(": ")[1] for line in lines] == [str(victim) for victim in victims]
    assert all("damaged" in line for line in lines[:4])
    assert all("no image that Pillow knows" in line for line in lines[4:])
    assert checked.summary == "7 unreadable images"


def test_headers_alone_do_not_show_damaged_pixels(folder: Path, tmp_path: Path) -> None:
    root = shutil.copytree(written(folder, "utm"), tmp_path / "utm")
    cut, other = sorted((root / "town" / "images" / "test").rglob("*.jpg"))[:2]
    cut.write_bytes(cut.read_bytes()[:-200])
    other.write_bytes(b"no image")
    assert len(check(root, decode=False).errors[UNREADABLE]) == 1


def test_what_is_missing_does_not_hide_what_is_unreadable_or_missing_elsewhere(folder: Path, tmp_path: Path) -> None:
    root = shutil.copytree(written(folder, "pitts30k"), tmp_path / "root")
    images, queries = (sorted((root / "pitts30k" / name).rglob("*.jpg")) for name in ("images", "queries"))
    missing, unreadable = [images[-1], queries[-1]], [images[-2], queries[-2]]
    for path in missing:
        path.unlink()
    for path in unreadable:
        path.write_bytes(path.read_bytes()[:50])
    checked = check(root)
    assert sorted(checked.errors[MISSING]) == sorted(f"missing: {path}" for path in missing)
    assert sorted(line.split(": ")[1] for line in checked.errors[UNREADABLE]) == sorted(map(str, unreadable))
    assert checked.summary == "1 refused data set, 2 unreadable images, 2 missing images"


@pytest.mark.parametrize("format", ["roxford5k", "tokyo247", "manifest"])
def test_every_image_of_a_set_is_accounted_for_where_some_are_missing(
    folder: Path, tmp_path: Path, format: str
) -> None:
    root = shutil.copytree(written(folder, format), tmp_path / "root")
    images = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix in ("", ".jpg", ".png"))
    for number, path in enumerate(images):
        path.write_bytes(b"no image") if number % 3 else path.unlink()
    errors = check(root).errors
    told = [*errors[MISSING], *(line.rpartition(": ")[0] for line in errors[UNREADABLE])]
    # Missing ones have the suffix of the lists.
    wanted = [f"unreadable: {path}" if number % 3 else f"missing: {path}" for number, path in enumerate(images)]
    assert sorted(told) == sorted(line.replace(".png", ".jpg") if "missing" in line else line for line in wanted)


def test_a_name_that_no_terminal_shows_is_escaped_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    for name in ("two\nlines.jpg", os.fsdecode(b"\xff.jpg"), "[red]é ü.jpg"):
        (tmp_path / "class" / name).write_bytes(b"no image")
    told = [line.partition(f"{tmp_path}/class/")[2] for line in check(tmp_path).errors[UNREADABLE]]
    assert [line.rpartition(": ")[0] for line in told] == ["[red]é ü.jpg", "two\\nlines.jpg", "\\xff.jpg"]


def test_a_file_that_is_missing_is_told_apart(folder: Path, tmp_path: Path) -> None:
    root = shutil.copytree(written(folder, "folders"), tmp_path / "folders")
    victim = sorted((root / "val").rglob("*.jpg"))[0]
    victim.unlink()
    victim.symlink_to(tmp_path / "gone.jpg")
    assert check(root).errors[MISSING] == [f"missing: {victim}"]


def test_a_set_that_is_refused_is_told_and_the_rest_is_checked(folder: Path, tmp_path: Path) -> None:
    root = shutil.copytree(written(folder, "roxford5k"), tmp_path / "root")
    (root / "test" / "roxford5k" / "gnd_roxford5k.pkl").write_bytes(b"no pickle")
    checked = check(root)
    (line,) = checked.errors[REFUSED]
    assert line.startswith("test/roxford5k: ")
    assert "gnd_roxford5k.pkl" in line
    assert any(row.counts.get("pairs") == 16 for row in checked.sets)


def test_a_ground_truth_of_no_use_is_an_error(folder: Path, tmp_path: Path) -> None:
    root = shutil.copytree(written(folder, "market1501"), tmp_path / "root")
    for file in list(root.rglob("*.jpg")):
        person, _, rest = file.name.partition("_c")
        file.rename(file.with_name(f"{person}_c1{rest[1:-4]}_{file.name[-8:-4]}{rest[1]}.jpg"))
    errors = check(root, decode=False).errors["useless ground truth"]
    assert all("all images carry camera 1" in line for line in errors)


def test_sets_of_a_family_are_compared(tiny_data: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in ("train", "val"):
        (root / name).symlink_to(tiny_data / name)
    shutil.copytree(tiny_data / "val", root / "test")
    (line,) = check(root).errors["useless ground truth"]
    assert "8 of its 8 query images are in select_on (val)" in line


def test_boxes_that_leave_their_images_are_an_error(tiny_data: Path, tmp_path: Path) -> None:
    root = shutil.copytree(tiny_data / "val", tmp_path / "val")
    for file in root.rglob("*.jpg"):
        with Image.open(file) as image:
            half = image.resize((image.width // 2, image.height // 2))
        half.save(file)
    (line,) = check(root).errors["set with boxes that do not fit"]
    assert "8 query boxes do not fit" in line
    assert "resized" in line


def test_turned_photographs_are_counted_and_what_is_done_is_said(folder: Path, tmp_path: Path) -> None:
    root = shutil.copytree(written(folder, "folders"), tmp_path / "folders")
    for file in sorted((root / "train").rglob("*.jpg"))[:3]:
        with Image.open(file) as image:
            exif = image.getexif()
            exif[274] = 6
            image.save(file, exif=exif)
    treatment = {row.name: row.treatment for row in check(root).sets}
    assert treatment["train"].endswith("the EXIF orientation of 3 images is applied")
    assert "EXIF" not in treatment["val"]


def test_progress_counts_every_image_twice_headers_first(folder: Path) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}

    @contextmanager
    def bar(what: str):
        yield lambda done, total: seen.setdefault(what, []).append((done, total))

    total = check_sets(open_all(written(folder, "folders")), bar).images
    assert list(seen) == ["reading the headers", "reading every image once"]
    assert all(steps == [(done, total) for done in range(1, total + 1)] for steps in seen.values())

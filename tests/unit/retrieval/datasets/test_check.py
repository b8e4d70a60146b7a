import os
import shutil
from pathlib import Path

import pytest

from retrieval.datasets.check import describe_data, find_data_sets
from retrieval.datasets.miniature.formats.registry import WRITERS
from retrieval.datasets.miniature.mini import MiniSettings, write_mini

SMALL = MiniSettings(
    image_size=32, training_places=8, views=3, places=2, queries_per_place=1, positives=4, junk=1, distractors=4
)


def _written(folder: Path, format: str) -> Path:
    write_mini(folder / format, settings=SMALL, format=format)
    return folder / format


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("roots")


def _refused(folder: Path) -> tuple[list[str], str]:
    """The lines before the end, and the last one."""
    lines: list[str] = []
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each caller checks the message
        lines.extend(describe_data(folder))
    assert "\n" not in str(caught.value)
    return lines, str(caught.value)


def test_a_sweeps_data_is_recognised_and_counted(tiny_data: Path) -> None:
    assert list(describe_data(tiny_data)) == [
        "test: text ground truth in the Oxford5k layout (gt)",
        "test: classic protocol, 44 images, 8 queries, 64 positives, 8 junk",
        "train: one folder a class (amber_alley_000)",
        "train: 96 training images of 16 classes",
        "val: text ground truth in the Oxford5k layout (gt)",
        "val: classic protocol, 44 images, 8 queries, 64 positives, 8 junk",
        "184 images read: all are sound",
    ]


def test_a_single_data_set_is_recognised_too(tiny_data: Path) -> None:
    lines = list(describe_data(tiny_data / "test"))
    assert lines[1] == f"{tiny_data / 'test'}: classic protocol, 44 images, 8 queries, 64 positives, 8 junk"
    assert lines[-1] == "44 images read: all are sound"


@pytest.mark.parametrize("format", WRITERS)
def test_every_format_of_the_miniature_benchmark_is_sound(folder: Path, format: str) -> None:
    assert list(describe_data(_written(folder, format)))[-1].endswith("images read: all are sound")


def test_a_landmark_root_lists_its_data_sets_by_the_names_people_know(folder: Path) -> None:
    assert list(describe_data(_written(folder, "roxford5k")))[:-1] == [
        "test/revisitop1m: a million distractors (revisitop1m.txt)",
        "test/revisitop1m: 2 images",
        "test/roxford5k: ROxford5k, revisited ground truth (gnd_roxford5k.pkl)",
        "test/roxford5k: revisited protocol, 10 images, 2 queries, 6 positives (3 of them hard), 2 junk",
        "train/retrieval-SfM-120k: retrieval-SfM training pairs (retrieval-SfM-120k.pkl)",
        "train/retrieval-SfM-120k: train: 24 training images of 8 3D models, 16 pairs",
        "train/retrieval-SfM-120k: val: classic protocol, 14 images, 2 queries, 6 positives, 4 junk",
    ]


def test_every_split_of_a_set_is_counted(folder: Path) -> None:
    lines = list(describe_data(_written(folder, "pitts30k")))
    assert lines[0] == "pitts30k: Pitts30k, dbStruct of place recognition (datasets/pitts30k_test.mat)"
    assert lines[1] == "pitts30k: train: 24 training images of 16 cells of 10 m, 8 pairs"
    assert lines[2] == "pitts30k: test: places protocol, 10 images, 2 queries, 6 positives, 0 junk"
    assert lines[3].startswith("pitts30k: val: places protocol, 10 images")


def test_more_distractors_of_market_are_read_as_well(folder: Path) -> None:
    root = _written(folder, "market1501")
    test = next(line for line in describe_data(root) if ": test: " in line)
    assert "market protocol, 14 images, 2 queries" in test  # 2 × 3 views, 4 of pid 0, 4 in images/


def test_every_ground_truth_in_a_folder_is_read(folder: Path) -> None:
    lines = [line for line in describe_data(_written(folder, "paris6k")) if "test/paris6k" in line]
    assert lines[0].endswith("Paris6k, text ground truth in the Oxford5k layout (gt)")
    assert lines[2].endswith("Paris6k, classic ground truth (gnd_paris6k.pkl)")
    assert lines[1] == lines[3]


def test_each_unreadable_file_has_a_line_however_many_there_are(folder: Path, tmp_path: Path) -> None:
    root = shutil.copytree(_written(folder, "utm"), tmp_path / "utm")
    victims = sorted((root / "town" / "images" / "test").rglob("*.jpg"))[:7]
    for victim in victims:
        victim.write_bytes(victim.read_bytes()[:50])
    lines, last = _refused(root)
    assert sorted(line for line in lines if line.startswith("unreadable: ")) == [f"unreadable: {v}" for v in victims]
    assert last == f"{root}: 7 unreadable images; named above"


def test_what_is_missing_does_not_hide_what_is_unreadable_or_missing_elsewhere(folder: Path, tmp_path: Path) -> None:
    root = shutil.copytree(_written(folder, "pitts30k"), tmp_path / "root")
    images, queries = (sorted((root / "pitts30k" / name).rglob("*.jpg")) for name in ("images", "queries"))
    missing, unreadable = [images[-1], queries[-1]], [images[-2], queries[-2]]
    for path in missing:
        path.unlink()
    for path in unreadable:
        path.write_bytes(path.read_bytes()[:50])
    lines, last = _refused(root)
    assert lines[-4:] == [*(f"unreadable: {path}" for path in unreadable), *(f"missing: {path}" for path in missing)]
    assert last == f"{root}: 2 unreadable images, 2 missing images, 1 refused data set; named above"


@pytest.mark.parametrize("format", ["roxford5k", "tokyo247", "manifest"])
def test_every_image_of_a_set_is_accounted_for_where_some_are_missing(
    folder: Path, tmp_path: Path, format: str
) -> None:
    root = shutil.copytree(_written(folder, format), tmp_path / "root")
    images = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix in ("", ".jpg", ".png"))
    for number, path in enumerate(images):
        path.write_bytes(b"no image") if number % 3 else path.unlink()
    lines, _ = _refused(root)
    told = [line for line in lines if line.startswith(("missing: ", "unreadable: "))]
    # Missing ones have the suffix of the lists.
    wanted = [f"unreadable: {path}" if number % 3 else f"missing: {path}" for number, path in enumerate(images)]
    assert sorted(told) == sorted(line.replace(".png", ".jpg") if "missing" in line else line for line in wanted)


def test_a_name_that_no_terminal_shows_is_escaped_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    for name in ("two\nlines.jpg", os.fsdecode(b"\xff.jpg"), "[red]é ü.jpg"):
        (tmp_path / "class" / name).write_bytes(b"no image")
    lines, _ = _refused(tmp_path)
    told = [line.partition(f"{tmp_path}/class/")[2] for line in lines if line.startswith("unreadable: ")]
    assert told == ["[red]é ü.jpg", "two\\nlines.jpg'", "\\udcff.jpg'"]


def test_a_pipe_that_is_named_like_an_image_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    os.mkfifo(tmp_path / "class" / "a.jpg")
    assert _refused(tmp_path)[0][-1] == f"missing: {tmp_path / 'class' / 'a.jpg'}"


def test_a_file_that_is_missing_is_told_apart(folder: Path, tmp_path: Path) -> None:
    root = shutil.copytree(_written(folder, "folders"), tmp_path / "folders")
    victim = sorted((root / "val").rglob("*.jpg"))[0]
    victim.unlink()
    victim.symlink_to(tmp_path / "gone.jpg")
    lines, last = _refused(root)
    assert lines[-1] == f"missing: {victim}"
    assert last == f"{root}: 1 missing image; named above"


def test_what_a_loader_refuses_is_told_and_the_rest_is_read(folder: Path, tmp_path: Path) -> None:
    root = shutil.copytree(_written(folder, "roxford5k"), tmp_path / "root")
    (root / "test" / "roxford5k" / "gnd_roxford5k.pkl").write_bytes(b"no pickle")
    lines, last = _refused(root)
    assert any(line.startswith("test/roxford5k: refused: ") and "gnd_roxford5k.pkl" in line for line in lines)
    assert any("16 pairs" in line for line in lines)
    assert last == f"{root}: 1 refused data set; named above"


def test_a_damaged_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.parquet").write_bytes(b"no parquet")
    lines, last = _refused(tmp_path)
    assert "refused: " in lines[1]
    assert "manifest.parquet cannot be read" in lines[1]
    assert last == f"{tmp_path}: 1 refused data set; named above"


def test_progress_counts_every_image_once(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    last = list(describe_data(_written(folder, "folders"), lambda done, total: seen.append((done, total))))[-1]
    total = int(last.split()[0])
    assert seen == [(done, total) for done in range(1, total + 1)]


def test_data_sets_are_not_searched_for_within_one_another(folder: Path) -> None:
    root = _written(folder, "oxford105k")
    found = [path.relative_to(root).as_posix() for path in find_data_sets(root)]
    assert found == ["test/flickr100k", "test/oxford5k", "train/retrieval-SfM-120k"]


def test_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is in no format that is known.*Oxford5k layout"):
        list(describe_data(tmp_path))
    with pytest.raises(ValueError, match="nowhere does not exist"):
        list(describe_data(tmp_path / "nowhere"))

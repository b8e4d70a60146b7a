import os
import shutil
from dataclasses import replace

import pytest
from PIL import Image

from retrieval.images import UnreadableImagesError
from trainables.data import check_images, open_data, training_fingerprint
from trainables.settings import DataSettings


def test_every_image_of_a_sound_benchmark_is_read(tiny_data):
    data = open_data(DataSettings(root=tiny_data, image_size=64))
    seen = []
    count = check_images(data.images, lambda done, total: seen.append((done, total)))
    assert count == len(list(tiny_data.rglob("*.jpg")))
    assert seen[-1] == (count, count)


def test_damaged_images_are_all_named_and_counted(tiny_data, tmp_path):
    root = shutil.copytree(tiny_data, tmp_path / "damaged")
    bad = [sorted((root / "train").rglob("*.jpg"))[3], sorted((root / "test" / "jpg").iterdir())[5]]
    bad[0].write_bytes(b"")
    bad[1].write_bytes(bad[1].read_bytes()[:200])
    data = open_data(DataSettings(root=root, image_size=64))
    with pytest.raises(UnreadableImagesError, match="2 unreadable images") as caught:
        check_images(data.images)
    assert list(caught.value.paths) == bad


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="none does not exist"):
        open_data(DataSettings(root=tmp_path / "none", image_size=64))


def test_the_fingerprint_changes_with_images_and_with_ground_truth(tiny_data, tmp_path):
    def fingerprint_of(root) -> str:
        open_data.cache_clear()
        return open_data(DataSettings(root=root, image_size=64)).fingerprint

    copy = shutil.copytree(tiny_data, tmp_path / "copy")
    original = fingerprint_of(tiny_data)
    assert fingerprint_of(copy) == original
    victim = sorted((copy / "val" / "gt").glob("*_ok.txt"))[0]
    victim.write_text("\n".join(victim.read_text().splitlines()[1:]))
    without_one_positive = fingerprint_of(copy)
    assert without_one_positive != original
    image = sorted((copy / "train").rglob("*.jpg"))[0]
    image.write_bytes(image.read_bytes() + b"\0")
    assert fingerprint_of(copy) not in (original, without_one_positive)


def test_the_fingerprint_changes_with_what_is_known_of_the_training_images(tiny_data):
    data = open_data(DataSettings(root=tiny_data, image_size=64))
    relabelled = replace(data, train=replace(data.train, labels=data.train.labels[::-1].copy()))
    assert relabelled.fingerprint != data.fingerprint


def _turn(path, orientation: int = 6) -> None:
    """Store an image's pixels lying on their side, with the tag that turns them upright."""
    exif = Image.Exif()
    exif[274] = orientation
    with Image.open(path) as image:
        image.rotate(90, expand=True).save(path, exif=exif, quality=95)


@pytest.fixture
def photographs(tiny_data, tmp_path):
    """One folder a class, wider than high, the first image of each split lying on its side with an orientation tag."""
    for split in ("train", "val", "test"):
        for number in range(4):
            file = tmp_path / split / f"class_{number // 2}" / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((64, 48), 50 + number).save(file)
        _turn(tmp_path / split / "class_0" / "0.jpg")
    return tmp_path


def test_own_photographs_are_turned_upright_unless_the_sweep_file_says_otherwise(photographs):
    def shapes(**keys) -> set[tuple[int, ...]]:
        data = open_data(DataSettings(root=photographs, image_size=64, **keys))
        sets = (data.train, data.select_on, data.report_on)
        shapes = {tuple(data.reader_of(each).read(each.images[0]).shape) for each in sets}
        return shapes | {tuple(data.training_reader.read(data.train.images[0]).shape)}

    assert shapes() == shapes(exif_orientation="apply") == {(3, 48, 64)}
    assert shapes(exif_orientation="ignore") == {(3, 64, 48)}


def test_formats_of_one_sweep_are_each_read_in_their_own_way(tiny_data):
    data = open_data(DataSettings(root=tiny_data, image_size=64))
    assert data.train.exif_orientation == "apply"  # folders
    assert data.select_on.exif_orientation == data.report_on.exif_orientation == "ignore"  # Oxford's layout
    assert data.reader_of(data.train) is data.training_reader
    assert data.reader_of(data.select_on).exif_orientation == "ignore"
    asked = open_data(DataSettings(root=tiny_data, image_size=64, exif_orientation="apply"))
    assert asked.select_on.exif_orientation == "apply"


def test_the_fingerprint_knows_what_is_turned_and_nothing_else(photographs, tiny_data):
    def fingerprints(root, **keys) -> tuple[str, str]:
        data = open_data(DataSettings(root=root, image_size=64, **keys))
        return data.fingerprint, training_fingerprint(data.train)

    applied, ignored = fingerprints(photographs), fingerprints(photographs, exif_orientation="ignore")
    assert fingerprints(photographs, exif_orientation="apply") == applied
    assert all(one != other for one, other in zip(applied, ignored, strict=True))
    # Where nothing has an orientation nothing changes: sweeps of former versions are known by these digits.
    assert fingerprints(tiny_data, exif_orientation="apply") == fingerprints(tiny_data, exif_orientation="ignore")


def test_the_fingerprint_knows_pictures_that_former_versions_read_otherwise(photographs):
    def fingerprint() -> str:
        open_data.cache_clear()
        return open_data(DataSettings(root=photographs, image_size=64, exif_orientation="ignore")).fingerprint

    deep = photographs / "train" / "class_0" / "deep.png"
    seen = set()
    for mode in ("L", "I;16", "LA"):
        Image.new(mode, (64, 48), 0).save(deep)
        deep.write_bytes(deep.read_bytes().ljust(1000, b"\0"))  # names and bytes are the same
        seen.add(fingerprint())
    assert len(seen) == 3


def test_a_key_that_is_left_to_the_format_leaves_no_trace_in_what_sweeps_are_known_by(tmp_path):
    plain = DataSettings(root=tmp_path, image_size=64)
    assert "exif_orientation" not in plain.model_dump(mode="json")
    named = DataSettings(root=tmp_path, image_size=64, exif_orientation="ignore")
    assert named.model_dump()["exif_orientation"] == "ignore"
    assert DataSettings.model_validate_json(named.model_dump_json()) == named


def test_boxes_that_leave_their_images_are_refused_when_the_data_are_opened(tiny_data, tmp_path):
    root = shutil.copytree(tiny_data, tmp_path / "halved")
    for path in (root / "test" / "jpg").iterdir():
        with Image.open(path) as image:
            image.resize((image.width // 2, image.height // 2)).save(path)
    with pytest.raises(ValueError, match=r"^test: \d+ of \d+ query boxes do not fit .* was the image resized"):
        open_data(DataSettings(root=root, image_size=64))


def test_names_that_are_no_utf8_are_opened_fingerprinted_and_read(tmp_path):
    for split in ("train", "val", "test"):
        for number in range(2):
            file = tmp_path / split / os.fsdecode(b"caf\xe9") / os.fsdecode(b"%d\xe9.jpg" % number)
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as opened:
                Image.new("RGB", (8, 8)).save(opened, "JPEG")
    data = open_data(DataSettings(root=tmp_path, image_size=64))
    assert len(data.fingerprint) == 16
    assert check_images(data.images) == 6

import shutil
from dataclasses import replace

import pytest

from retrieval.images import UnreadableImagesError
from trainables.data import check_images, open_data
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

import shutil

import pytest

from retrieval.images import UnreadableImagesError
from trainables.data import check_images, open_data
from trainables.settings import DataSettings


def test_every_image_of_a_sound_benchmark_is_read(tiny_data):
    data = open_data(DataSettings(root=tiny_data, image_size=64))
    seen = []
    count = check_images(data.images, data.reader, lambda done, total: seen.append((done, total)))
    assert count == len(list(tiny_data.rglob("*.jpg")))
    assert seen[-1] == (count, count)


def test_damaged_images_are_all_named_and_counted(tiny_data, tmp_path):
    root = shutil.copytree(tiny_data, tmp_path / "damaged")
    bad = [sorted((root / "train").rglob("*.jpg"))[3], sorted((root / "test" / "jpg").iterdir())[5]]
    bad[0].write_bytes(b"")
    bad[1].write_bytes(bad[1].read_bytes()[:200])
    data = open_data(DataSettings(root=root, image_size=64))
    with pytest.raises(UnreadableImagesError, match="2 unreadable images") as caught:
        check_images(data.images, data.reader)
    assert list(caught.value.paths) == bad


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="none does not exist"):
        open_data(DataSettings(root=tmp_path / "none", image_size=64))

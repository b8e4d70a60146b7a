import shutil
from pathlib import Path

import pytest
from PIL import Image

from trainables.baseline import build_dense
from trainables.data import open_data
from trainables.image_sizes import check_image_sizes
from trainables.settings import DataSettings, DescriptorSettings, NetworkSettings, TrialSettings


@pytest.fixture
def data_root(tiny_data: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_data, tmp_path / "data")


def _check(settings: TrialSettings, root: Path, *, network: str, scales: tuple[float, ...] = (1.0,), **data) -> None:
    settings = settings.model_copy(
        update={
            "data": DataSettings(root=root, **{"image_size": 64, **data}),
            "network": NetworkSettings(name=network),
            "descriptor": DescriptorSettings(scales=scales),
        }
    )
    open_data.cache_clear()  # the same folder holds other images by now
    opened = open_data(settings.data)
    check_image_sizes(opened, settings, build_dense(settings.network, len(opened.train.classes)).eval())


def test_a_strip_is_refused_by_name_by_a_network_that_cannot_take_it(tiny_settings, data_root):
    _check(tiny_settings, data_root, network="vgg16")
    first = sorted((data_root / "train").iterdir())[0]
    Image.new("RGB", (2000, 3)).save(first / "strip.jpg")
    with pytest.raises(
        ValueError, match=r"^1 image is too small .* at least 16 .*strip\.jpg \(2000 × 3, read at 64 × 1"
    ):
        _check(tiny_settings, data_root, network="vgg16")
    _check(tiny_settings, data_root, network="vgg16", image_size=(64, 64))
    _check(tiny_settings, data_root, network="mini_resnet")


def test_images_of_the_database_and_sizes_of_training_are_checked_too(tiny_settings, data_root):
    Image.new("RGB", (40, 12)).save(sorted((data_root / "test" / "jpg").iterdir())[0])
    with pytest.raises(ValueError, match=r"query boxes|40 × 12"):
        _check(tiny_settings, data_root, network="vgg16")


def test_the_size_of_training_is_checked_on_its_own(tiny_settings, tiny_data):
    with pytest.raises(ValueError, match="read at 30 pixels, but the network needs at least 31"):
        _check(tiny_settings, tiny_data, network="alexnet", training_size=30)


def test_the_smallest_scale_counts_where_images_are_scored(tiny_settings, tiny_data):
    with pytest.raises(ValueError, match="read at 64 pixels, but the network needs at least 128"):
        _check(tiny_settings, tiny_data, network="vgg16", scales=(1.0, 0.125))

from io import StringIO
from shutil import copytree

import pytest
from rich.console import Console

from retrieval.datasets.miniature.mini import MiniSettings, write_mini
from search.data_check import check_data
from trainables.data import open_data
from trainables.settings import DataSettings


@pytest.fixture
def root(tmp_path):
    write_mini(tmp_path / "mini", seed=0, settings=MiniSettings(training_places=4, views=3, places=4, distractors=3))
    return tmp_path / "mini"


def checked(root, tmp_path, **changes):
    console = Console(file=StringIO(), width=200)
    data = open_data(DataSettings(root=root, image_size=64, **changes))
    return check_data(data, tmp_path / "baselines", console), console.file.getvalue()


def test_images_are_read_once_and_warnings_said_every_time(root, tmp_path):
    first, said = checked(root, tmp_path)
    assert f"{first.report.images} images read: all are sound" in said
    first.keep()
    again, said_again = checked(root, tmp_path)
    assert again.report == first.report
    assert "every image was read before" in said_again
    assert [line for line in said.splitlines() if "warning" in line] == [
        f"warning: {warning}" for warning in first.report.warnings
    ]
    assert 0 < first.report.chance["map"] < 1


def test_what_is_left_out_is_said(root, tmp_path):
    (root / "train" / "Thumbs.db").touch()
    assert "train: 1 file left out: 1 left by an operating system (Thumbs.db)" in checked(root, tmp_path)[1]


def test_nothing_is_kept_unless_asked(root, tmp_path):
    checked(root, tmp_path)
    assert not (tmp_path / "baselines").exists()


@pytest.mark.parametrize("spelt", ["./val", "link", "copy"])
def test_a_test_set_that_is_the_validation_set_is_refused(root, tmp_path, spelt):
    match spelt:
        case "link":
            (root / "link").symlink_to(root / "val")
        case "copy":
            copytree(root / "val", root / "copy")
    with pytest.raises(ValueError, match=r"query images are in select_on .* its score is one that was searched for"):
        checked(root, tmp_path, report_on=spelt)

from pathlib import Path

import pytest

from retrieval.datasets.base import Images, RetrievalSet, TrainingSet
from retrieval.datasets.checks.find_sets import find_data_sets, open_all, open_source
from retrieval.datasets.format import Source
from retrieval.datasets.miniature.mini import MiniSettings, write_mini

SMALL = MiniSettings(
    image_size=32, training_places=8, views=3, places=2, queries_per_place=1, positives=4, junk=1, distractors=4
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory):
    """Return a function that writes the miniature in a format, once."""
    root = tmp_path_factory.mktemp("roots")

    def write(format: str) -> Path:
        if not (root / format).is_dir():
            write_mini(root / format, settings=SMALL, format=format)
        return root / format

    return write


def test_data_sets_are_not_searched_for_within_one_another(written) -> None:
    root = written("oxford105k")
    found = [path.relative_to(root).as_posix() for path in find_data_sets(root)]
    assert found == ["test/flickr100k", "test/oxford5k", "train/retrieval-SfM-120k"]


def test_folders_named_train_val_and_test_are_one_family(tiny_data: Path) -> None:
    opened = {each.name: each for each in open_all(tiny_data)}
    assert {name: each.role for name, each in opened.items()} == {"test": "test", "train": "train", "val": "val"}
    assert len({each.family for each in opened.values()}) == 1
    assert isinstance(opened["train"].opened, TrainingSet)
    assert isinstance(opened["val"].opened, RetrievalSet)


def test_the_splits_of_a_set_are_one_family(written) -> None:
    opened = open_all(written("pitts30k"))
    assert [each.name for each in opened] == ["pitts30k: train", "pitts30k: test", "pitts30k: val"]
    assert {each.title for each in opened} == {"Pitts30k, dbStruct of place recognition (datasets/pitts30k_test.mat)"}
    assert len({each.family for each in opened}) == 1


def test_benchmarks_beside_each_other_are_no_family(written) -> None:
    opened = open_all(written("roxford5k"))
    assert [each.title.partition(" (")[0] for each in opened] == [
        "a million distractors",
        "ROxford5k, revisited ground truth",
        "retrieval-SfM training pairs",
        "retrieval-SfM training pairs",
    ]
    assert isinstance(opened[0].opened, Images)
    assert len({each.family for each in opened}) == 3


def test_every_ground_truth_in_a_folder_is_opened(written) -> None:
    titles = [each.title for each in open_all(written("paris6k")) if each.name == "test/paris6k"]
    assert titles[0].startswith("Paris6k, text ground truth in the Oxford5k layout (gt)")
    assert titles[1].startswith("Paris6k, classic ground truth (gnd_paris6k.pkl)")


def test_more_distractors_of_market_are_opened_as_well(written) -> None:
    (test,) = [each.opened for each in open_all(written("market1501")) if each.role == "test"]
    assert len(test.images) == 14  # 2 × 3 views, 4 of pid 0, 4 in images/


def test_what_a_loader_refuses_does_not_hide_the_rest(written, tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "gnd_x.pkl").write_bytes(b"no pickle")
    (tmp_path / "train").symlink_to(written("folders") / "train")
    opened = {each.name: each.opened for each in open_all(tmp_path)}
    assert isinstance(opened["test"], ValueError)
    assert isinstance(opened["train"], TrainingSet)


def test_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is in no format that is known.*Oxford5k layout"):
        open_all(tmp_path)
    with pytest.raises(ValueError, match="nowhere does not exist"):
        open_all(tmp_path / "nowhere")


def test_the_sets_of_a_sweep_have_its_roles(tiny_data: Path) -> None:
    train = open_source(tiny_data, "train", "train", Source(path="train"))
    report_on = open_source(tiny_data, "report_on", "test", Source(path="test"))
    assert (train.name, report_on.name) == ("train (train)", "report_on (test)")
    assert train.family == report_on.family
    missing = open_source(tiny_data, "select_on", "val", Source(path="nowhere"))
    assert isinstance(missing.opened, ValueError)


def test_class_folders_whose_name_tells_no_role_are_opened_both_ways(tiny_data: Path, tmp_path: Path) -> None:
    (tmp_path / "flowers").symlink_to(tiny_data / "train")
    both = open_all(tmp_path)
    assert [type(each.opened) for each in both] == [TrainingSet, RetrievalSet]
    (tmp_path / "val").symlink_to(tiny_data / "train")
    opened = {each.name: each.opened for each in open_all(tmp_path) if each.name == "val"}
    assert isinstance(opened["val"], RetrievalSet)

from pathlib import Path

import numpy as np
import pytest

from retrieval.datasets.base import RetrievalSet
from retrieval.datasets.formats.market1501 import load_market, load_market_training

_TRAIN = "bounding_box_train"
_TEST = "bounding_box_test"
_FILES = {
    _TRAIN: [
        # Seven identities between 2 and 11, and an eighth: the first and the eighth are held out.
        "0002_c1s1_000451_03.jpg",
        "0002_c1s1_000551_01.jpg",
        "0002_c3s1_000451_01.jpg",
        *(f"00{pid:02d}_c{camera}s1_000100_01.jpg" for pid in (3, 5, 6, 7, 9, 11) for camera in (1, 2)),
        "0030_c5s3_000001_00.jpg",
        "0030_c6s3_000001_00.jpg",
    ],
    _TEST: [
        "-1_c1s1_000401_03.jpg",
        "0000_c1s1_000151_01.jpg",
        "0001_c1s1_001051_03.jpg",
        "0001_c2s1_000301_00.jpg",
        "0001_c4s6_000810_00.jpg",
        "0004_c1s6_000810_00.jpg",
        "Thumbs.db",
    ],
    "query": ["0001_c1s1_001051_00.jpg", "0004_c1s6_000811_00.jpg"],
    "images": ["0000_c2s9_111111_01.jpg", "-1_c2s9_111112_01.jpg"],
}


def _write(root: Path, files: dict[str, list[str]] = _FILES) -> Path:
    for folder, names in files.items():
        (root / folder).mkdir(parents=True)
        for name in names:
            (root / folder / name).touch()
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return _write(tmp_path)


def _names(market: RetrievalSet) -> list[str]:
    return [path.name for path in market.images]


def _refusal(root: Path, split: str = "test") -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each caller checks the message
        load_market(root, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_database_is_the_test_images_without_pid_minus_1_and_thumbs_db(root: Path) -> None:
    market = load_market(root)
    assert (market.name, market.protocol) == ("market1501", "market")
    assert _names(market) == [name for name in _FILES[_TEST] if name.startswith("0")]
    assert market.images[0] == root / _TEST / "0000_c1s1_000151_01.jpg"


def test_other_cameras_of_a_person_are_right_and_the_same_camera_is_junk(root: Path) -> None:
    query = load_market(root).queries[0]
    assert query.name == "0001_c1s1_001051_00"
    assert query.path == root / "query" / "0001_c1s1_001051_00.jpg"
    assert query.positives.tolist() == [2, 3]
    assert query.junk.tolist() == [1]


def test_pid_0_is_a_wrong_answer_to_every_query(root: Path) -> None:
    market = load_market(root)
    assert market.images[0].name.startswith("0000_")
    assert all(0 not in (*query.positives, *query.junk) for query in market.queries)


def test_a_query_that_no_other_camera_saw_stays_without_positives(root: Path) -> None:
    query = load_market(root).queries[1]
    assert query.positives.tolist() == []
    assert query.junk.tolist() == [4]


def test_cameras_count_from_0(root: Path) -> None:
    cameras = load_market(root).cameras
    assert cameras is not None
    assert cameras[0].tolist() == [0, 0, 1, 3, 0]
    assert cameras[1].tolist() == [0, 0]


@pytest.mark.parametrize("inner", ["Market-1501-v15.09.15", "market1501"])
def test_the_folder_that_the_archive_makes_may_be_there(tmp_path: Path, inner: str) -> None:
    _write(tmp_path / inner)
    assert load_market(tmp_path).images[0] == tmp_path / inner / _TEST / "0000_c1s1_000151_01.jpg"
    assert len(load_market(tmp_path / inner).images) == 5


def test_the_distractors_come_after_the_database_and_change_no_answer(root: Path) -> None:
    plain, more = load_market(root), load_market(root, distractors=True)
    assert _names(more) == [*_names(plain), "0000_c2s9_111111_01.jpg"]
    for ours, theirs in zip(plain.queries, more.queries, strict=True):
        assert (ours.positives.tolist(), ours.junk.tolist()) == (theirs.positives.tolist(), theirs.junk.tolist())


def test_the_distractors_may_lie_beside_the_folder_that_the_archive_makes(tmp_path: Path) -> None:
    _write(tmp_path / "Market-1501-v15.09.15", {name: _FILES[name] for name in (_TEST, "query")})
    _write(tmp_path, {"images": _FILES["images"]})
    assert load_market(tmp_path, distractors=True).images[-1] == tmp_path / "images" / "0000_c2s9_111111_01.jpg"


def test_every_seventh_identity_is_held_out_with_a_query_a_camera(root: Path) -> None:
    val = load_market(root, "val")
    assert val.name == "market1501_val"
    assert {name[:4] for name in _names(val)} == {"0002", "0030"}
    assert [query.name for query in val.queries] == [
        "0002_c1s1_000451_03",
        "0002_c3s1_000451_01",
        "0030_c5s3_000001_00",
        "0030_c6s3_000001_00",
    ]


def test_a_held_out_query_is_its_own_junk_together_with_its_camera(root: Path) -> None:
    val = load_market(root, "val")
    assert val.queries[0].junk.tolist() == [0, 1]
    assert val.queries[0].positives.tolist() == [2]
    assert all(val.images[int(query.junk[0])] == query.path for query in val.queries)


def test_training_and_held_out_identities_are_apart_and_together_all(root: Path) -> None:
    train, everyone = load_market_training(root), load_market_training(root, "train_all")
    assert train.classes == ("0003", "0005", "0006", "0007", "0009", "0011")
    assert train.labels.tolist() == np.repeat(np.arange(6), 2).tolist()
    assert everyone.classes == ("0002", *train.classes, "0030")
    held_out = {path.name for path in load_market(root, "val").images}
    assert held_out | {path.name for path in train.images} == {path.name for path in everyone.images}
    assert not held_out & {path.name for path in train.images}


def test_nobody_is_trained_on(root: Path) -> None:
    for name in ("0000_c1s1_000001_01.jpg", "-1_c1s1_000002_01.jpg"):
        (root / _TRAIN / name).touch()
    assert load_market_training(root, "train_all").classes[0] == "0002"
    assert len(load_market_training(root, "train_all").images) == len(_FILES[_TRAIN])


def test_a_query_of_nobody_is_named(root: Path) -> None:
    (root / "query" / "0000_c1s1_000001_00.jpg").touch()
    assert "1 queries show nobody: query/0000_c1s1_000001_00.jpg" in _refusal(root)


@pytest.mark.parametrize(
    "name", ["holiday.jpg", "0001_c0s1_000001_00.jpg", "-2_c1s1_000001_00.jpg", "9" * 30 + "_c1.jpg"]
)
def test_a_name_that_tells_no_person_and_camera_is_named(root: Path, name: str) -> None:
    (root / _TEST / name).touch()
    message = _refusal(root)
    assert (
        f"1 images whose names do not tell identity and camera by the pattern of Market-1501: {_TEST}/{name}" in message
    )
    assert "0002_c1s1_000451_03.jpg would be right" in message


def test_missing_and_empty_folders_are_named(root: Path) -> None:
    for name in _FILES["query"]:
        (root / "query" / name).unlink()
    assert f"{root / 'query'} holds no image" in _refusal(root)
    (root / "query").rmdir()
    assert f"{root} holds no query/" in _refusal(root)
    assert "missing holds no bounding_box_train/" in _refusal(root / "missing", "val")


def test_a_split_that_is_not_there_is_refused_with_those_that_are(root: Path) -> None:
    assert "split 'train' has no queries; test or val is right" in _refusal(root, "train")
    with pytest.raises(ValueError, match="split 'val' is not for training; train or train_all is right"):
        load_market_training(root, "val")


def test_a_single_identity_cannot_be_held_out_and_trained_on(tmp_path: Path) -> None:
    _write(tmp_path, {_TRAIN: _FILES[_TRAIN][:3]})
    with pytest.raises(ValueError, match="one identity, held out for validation; train_all is right"):
        load_market_training(tmp_path)
    assert load_market_training(tmp_path, "train_all").classes == ("0002",)


def test_a_training_folder_of_nobody_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, {_TRAIN: ["0000_c1s1_000001_01.jpg"]})
    with pytest.raises(ValueError, match="shows nobody"):
        load_market_training(tmp_path, "train_all")

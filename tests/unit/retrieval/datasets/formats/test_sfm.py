import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.datasets.formats.sfm import image_name, load_sfm_queries, load_sfm_training

_NAME = "retrieval-SfM-120k"
_CIDS = [f"{number:032x}" for number in range(7)]
# Models 40 and 7; image 3 is asked for by 0 and 1, image 6 is of a model without pairs.
_TRAIN: dict[str, Any] = {
    "cids": _CIDS,
    "cluster": np.array([40, 40, 7, 40, 7, 40, 9]),
    "qidxs": [0, 4, 1, 0, 0],
    "pidxs": np.array([3, 2, 3, 1, 3]),
}
_VAL: dict[str, Any] = {"cids": _CIDS[:2], "cluster": [3, 3], "qidxs": [1], "pidxs": [0]}


def _write(root: Path, content: Any, name: str = _NAME) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for cid in _CIDS:
        path = root / image_name(cid)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / f"{name}.pkl").write_bytes(pickle.dumps(content, 2))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return _write(tmp_path / _NAME, {"train": _TRAIN, "val": _VAL})


def test_an_image_lies_in_folders_of_the_last_letters_of_its_name() -> None:
    assert image_name("0123456789abcdef") == "ims/ef/cd/ab/0123456789abcdef"


def test_models_are_classes_and_pairs_stay_as_listed(root: Path) -> None:
    training = load_sfm_training(root)
    assert training.classes == ("7", "9", "40")
    assert training.labels.tolist() == [2, 2, 0, 2, 0, 2, 1]
    assert training.pairs_P2 is not None
    assert training.pairs_P2.tolist() == [[0, 3], [4, 2], [1, 3], [0, 1], [0, 3]]
    assert training.images[4] == root / "ims" / "04" / "00" / "00" / _CIDS[4]


def test_a_query_finds_its_partners_and_the_rest_of_its_model_is_junk(root: Path) -> None:
    found = load_sfm_queries(root, "train")
    assert found.name == "retrieval-SfM-120k_train"
    assert found.protocol == "classic"
    assert len(found.images) == 7
    assert [(query.name, query.positives.tolist(), query.junk.tolist()) for query in found.queries] == [
        (_CIDS[0], [1, 3], [0, 5]),
        (_CIDS[1], [3], [0, 1, 5]),
        (_CIDS[4], [2], [4]),
    ]
    assert found.queries[2].path == found.images[4]
    assert found.queries[2].box is None


def test_the_other_split_is_another_database(root: Path) -> None:
    found = load_sfm_queries(root)
    assert (len(found.images), len(found.queries)) == (2, 1)
    assert load_sfm_training(root, "val").classes == ("3",)


def test_a_query_paired_with_itself_does_not_find_itself(tmp_path: Path) -> None:
    root = _write(tmp_path / _NAME, {"val": {**_VAL, "qidxs": [1, 1], "pidxs": [1, 0]}})
    (query,) = load_sfm_queries(root).queries
    assert (query.positives.tolist(), query.junk.tolist()) == ([0], [1])


def test_the_list_for_whitening_is_not_taken_for_the_images(tmp_path: Path) -> None:
    root = _write(tmp_path / "renamed", {"train": _TRAIN})
    _write(root, {"cids": [], "qidxs": [], "pidxs": []}, name=f"{_NAME}-whiten")
    assert len(load_sfm_training(root).images) == 7
    _write(root, {}, name="another")
    with pytest.raises(ValueError, match=r"holds 2 lists of images; it must hold renamed\.pkl"):
        load_sfm_training(root)


def test_images_that_are_not_there_are_counted(root: Path) -> None:
    for cid in _CIDS[5:]:
        (root / image_name(cid)).unlink()
    with pytest.raises(ValueError, match=rf"names 2 images that are not in .*: ims/05/00/00/{_CIDS[5]}, .*; unpack"):
        load_sfm_training(root)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1], "holds list; it must hold a dict with the split 'train'"),
        ({"val": _VAL}, r"holds \['val'\]; it must hold a dict with the split 'train'"),
        ({"train": {"cids": _CIDS, "qidxs": []}}, "split 'train' lacks cluster, pidxs"),
        ({"train": {**_TRAIN, "cids": ["../../etc/passwd"]}}, "cids of split 'train' must be names"),
        ({"train": {**_TRAIN, "cids": ["xx......"]}}, "cids of split 'train' must be names"),
        ({"train": {**_TRAIN, "cids": [b"abcdef"]}}, "cids of split 'train' must be names"),
        ({"train": {**_TRAIN, "cids": 7}}, "cids of split 'train' must be names"),
        ({"train": {**_TRAIN, "cids": np.array("abcdef")}}, "cids of split 'train' must be names"),
        ({"train": {**_TRAIN, "qidxs": [[1, 2], [3]]}}, "qidxs are rows of unequal length"),
        ({"train": {**_TRAIN, "cluster": [1, 2]}}, "has 2 clusters for 7 images"),
        ({"train": {**_TRAIN, "qidxs": [1]}}, "has 1 qidxs and 5 pidxs"),
        ({"train": {**_TRAIN, "qidxs": [], "pidxs": []}}, "has 0 qidxs and 0 pidxs"),
        ({"train": {**_TRAIN, "qidxs": [0, 1, 2, 3, 7]}}, r"a pair names image 7; indices must be in \[0, 7\)"),
        ({"train": {**_TRAIN, "pidxs": [0.5] * 5}}, "pidxs are float64"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(tmp_path: Path, content: Any, said: str) -> None:
    root = _write(tmp_path / _NAME, content)
    with pytest.raises(ValueError, match=rf"retrieval-SfM-120k\.pkl.*{said}") as caught:
        load_sfm_training(root)
    assert "\n" not in str(caught.value)

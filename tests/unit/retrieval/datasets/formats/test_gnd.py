import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from retrieval.datasets.formats.gnd import load_gnd

_IMAGES = ["all_souls_000013", "ashmolean_000000", "keble_000001", "keble_000002", "oriel_000003"]
_BOX = [136.5, 34.1, 648.5, 955.7]
_CLASSIC: dict[str, Any] = {
    "imlist": _IMAGES,
    "qimlist": ["all_souls_000013", "keble_000001"],
    # Lists and arrays both occur, and one is not in order.
    "gnd": [
        {"ok": [3, 0], "junk": np.array([4]), "bbx": _BOX},
        {"ok": np.array([2], dtype=np.int32), "junk": [], "bbx": np.array([1, 2, 30, 40])},
    ],
}
_REVISITED: dict[str, Any] = {
    "imlist": _IMAGES[1:],
    "qimlist": ["all_souls_000013", "radcliffe_camera_000519"],
    "gnd": [
        {"easy": [2], "hard": np.array([1, 0]), "junk": [3], "bbx": _BOX},
        {"easy": [], "hard": [], "junk": [], "bbx": [1, 2, 30, 40]},
    ],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "jpg").mkdir()
    for image in (*_IMAGES, "radcliffe_camera_000519", "named_in_no_list"):
        (tmp_path / "jpg" / f"{image}.jpg").touch()
    return tmp_path


def _pickle(root: Path, truth: Any, name: str = "any", protocol: int = 2) -> None:
    (root / f"gnd_{name}.pkl").write_bytes(pickle.dumps(truth, protocol))


def _cells(texts: list[str]) -> np.ndarray:
    row = np.empty((1, len(texts)), dtype=object)
    row[0, :] = texts
    return row


def _mat(root: Path, truth: dict[str, Any], name: str = "any") -> None:
    """The twin, as published: images counted from 1, boxes as they are."""
    kinds = [key for key in truth["gnd"][0] if key != "bbx"]
    gnd = np.empty((1, len(truth["gnd"])), dtype=[(key, object) for key in (*kinds, "bbx")])
    for number, entry in enumerate(truth["gnd"]):
        for kind in kinds:
            gnd[kind][0, number] = np.array([entry[kind]], dtype=np.float64) + 1
        gnd["bbx"][0, number] = np.array([entry["bbx"]])
    content: dict[str, Any] = {"imlist": _cells(truth["imlist"]), "gnd": gnd}
    if "ok" in kinds:
        content["qidx"] = np.array([[truth["imlist"].index(name) + 1 for name in truth["qimlist"]]], dtype=np.uint16)
    else:
        content["qimlist"] = _cells(truth["qimlist"])
    savemat(root / f"gnd_{name}.mat", content)


def _refusal(root: Path, truth: Any) -> str:
    _pickle(root, truth)
    with pytest.raises(ValueError, match=r"gnd_any\.pkl") as caught:
        load_gnd(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _changed(truth: dict[str, Any], **entry: Any) -> dict[str, Any]:
    """The same, with other values in the first entry of gnd."""
    return {**truth, "gnd": [{**truth["gnd"][0], **entry}, *truth["gnd"][1:]]}


@pytest.mark.parametrize("write", [_pickle, _mat])
def test_classic_ground_truth_is_read_from_either_twin(root: Path, write: Any) -> None:
    write(root, _CLASSIC)
    found = load_gnd(root)
    assert (found.name, found.protocol) == ("any", "classic")
    assert [path.name for path in found.images] == [f"{image}.jpg" for image in _IMAGES]
    first, second = found.queries
    assert (first.name, first.path) == ("all_souls_000013", root / "jpg" / "all_souls_000013.jpg")
    assert first.box == (136.5, 34.1, 648.5, 955.7)
    assert (first.positives.tolist(), first.junk.tolist(), first.hard.tolist()) == ([0, 3], [4], [])
    assert (second.positives.tolist(), second.junk.tolist()) == ([2], [])
    assert second.box == (1, 2, 30, 40)


@pytest.mark.parametrize("write", [_pickle, _mat])
def test_revisited_ground_truth_is_read_from_either_twin_as_medium_with_hard_apart(root: Path, write: Any) -> None:
    write(root, _REVISITED)
    found = load_gnd(root)
    assert found.protocol == "revisited"
    assert [path.stem for path in found.images] == _IMAGES[1:]
    first, second = found.queries
    assert first.path not in found.images
    assert first.box == (136.5, 34.1, 648.5, 955.7)
    assert (first.positives.tolist(), first.junk.tolist(), first.hard.tolist()) == ([0, 1, 2], [3], [0, 1])
    assert (second.positives.size, second.junk.size, second.hard.size) == (0, 0, 0)


def test_one_query_alone_in_a_mat_file_is_one_query(root: Path) -> None:
    _mat(root, {**_CLASSIC, "gnd": _CLASSIC["gnd"][:1], "qimlist": _CLASSIC["qimlist"][:1]})
    assert len(load_gnd(root).queries) == 1


def test_the_pickle_comes_before_its_twin_and_a_name_before_the_only_one(root: Path) -> None:
    _pickle(root, _CLASSIC)
    (root / "gnd_any.mat").write_bytes(b"damaged")
    assert load_gnd(root).name == "any"
    _pickle(root, _REVISITED, name="other")
    assert load_gnd(root, "other").protocol == "revisited"
    with pytest.raises(ValueError, match=r"holds 2 ground truths: gnd_any, gnd_other; name one of them"):
        load_gnd(root)
    with pytest.raises(ValueError, match=r"holds no gnd_third\.pkl or \.mat"):
        load_gnd(root, "third")


def test_an_image_is_found_with_another_suffix_or_in_a_folder(root: Path) -> None:
    _pickle(root, _CLASSIC)
    (root / "jpg" / "keble_000001.jpg").rename(root / "jpg" / "keble_000001.png")
    (root / "jpg" / "oriel").mkdir()
    (root / "jpg" / "oriel_000003.jpg").rename(root / "jpg" / "oriel" / "oriel_000003.JPG")
    images = load_gnd(root).images
    assert images[2] == root / "jpg" / "keble_000001.png"
    assert images[4] == root / "jpg" / "oriel" / "oriel_000003.JPG"


def test_a_jpg_comes_before_another_image_of_its_name(root: Path) -> None:
    _pickle(root, _CLASSIC)
    (root / "jpg" / "keble_000001.jpeg").touch()
    assert load_gnd(root).images[2].name == "keble_000001.jpg"


def test_names_may_have_their_suffix_in_the_list(root: Path) -> None:
    _pickle(root, {**_CLASSIC, "imlist": [f"{image}.jpg" for image in _IMAGES]})
    assert load_gnd(root).images[0] == root / "jpg" / "all_souls_000013.jpg"


def test_images_that_are_not_there_are_counted_and_named(root: Path) -> None:
    (root / "jpg" / "oriel_000003.jpg").unlink()
    (root / "jpg" / "keble_000001.jpg").unlink()
    message = _refusal(root, _CLASSIC)
    assert f"names 2 images that are not in {root / 'jpg'}: keble_000001, oriel_000003;" in message


def test_an_image_asked_about_twice_makes_two_queries(root: Path) -> None:
    _pickle(root, {**_CLASSIC, "qimlist": ["keble_000001", "keble_000001"]})
    assert [query.name for query in load_gnd(root).queries] == ["keble_000001", "keble_000001#2"]


def test_a_query_without_a_box_is_the_whole_image(root: Path) -> None:
    entry = {"ok": [0], "junk": []}
    _pickle(root, {**_CLASSIC, "gnd": [entry, entry]})
    assert load_gnd(root).queries[0].box is None


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ([1, 2], "holds list; it must hold a dict"),
        ({"imlist": []}, r"holds ['imlist']; it must hold a dict of imlist, qimlist and gnd"),
        ({**_CLASSIC, "gnd": [1, 2]}, "gnd must be a list of dicts"),
        ({**_CLASSIC, "imlist": [1, 2]}, "imlist must be a list of texts"),
        ({**_CLASSIC, "imlist": 5}, "imlist must be a list of texts"),
        ({**_CLASSIC, "qimlist": np.array("a")}, "qimlist must be a list of texts"),
        ({**_CLASSIC, "qimlist": ["keble_000001"]}, "has 1 query images and ground truth for 2"),
        ({**_CLASSIC, "gnd": [], "qimlist": []}, "qimlist must be a list of texts, at least one"),
        ({**_CLASSIC, "gnd": [{"junk": [1]}] * 2}, "query 0 has ['junk']; ok and junk, or easy, hard and junk"),
        ({**_CLASSIC, "gnd": [{"junk": [1], 2: [0]}] * 2}, "query 0 has ['2', 'junk']; ok and junk"),
        ({**_REVISITED, "gnd": [_REVISITED["gnd"][0], _CLASSIC["gnd"][1]]}, "easy for 1 of 2 queries"),
        (_changed(_CLASSIC, ok=[5]), "names database image 5; indices must be in [0, 5)"),
        (_changed(_CLASSIC, ok=[-1]), "names database image -1"),
        (_changed(_CLASSIC, ok=[0.5]), "query 0: indices are float64; they must be whole numbers"),
        (_changed(_CLASSIC, ok=[float("nan")]), "they must be whole numbers"),
        (_changed(_CLASSIC, ok=["a"]), "they must be whole numbers"),
        (_changed(_CLASSIC, ok=[4]), "[4] are positives and junk"),
        (_changed(_REVISITED, hard=[2]), "[2] are easy and hard"),
        (_changed(_CLASSIC, bbx=[3, 2, 1, 4]), "bbx is [3.0, 2.0, 1.0, 4.0]; [x1, y1, x2, y2]"),
        (_changed(_CLASSIC, bbx=[1, 2, 3]), "bbx is [1.0, 2.0, 3.0]"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(root: Path, truth: Any, said: str) -> None:
    assert said in _refusal(root, truth)


def test_a_mat_file_without_its_lists_or_with_an_index_outside_is_refused(root: Path) -> None:
    savemat(root / "gnd_any.mat", {"x": 1.0})
    with pytest.raises(ValueError, match=r"gnd_any\.mat holds \['x'\]; it must hold imlist, qimlist or qidx, and gnd"):
        load_gnd(root)
    savemat(root / "gnd_any.mat", {"imlist": _cells(_IMAGES), "qidx": np.array([[6.0]])})
    with pytest.raises(ValueError, match=r"index 5, counted from 0, is outside of 5 images"):
        load_gnd(root)


def test_a_pickle_that_asks_for_more_is_refused_before_anything_runs(root: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    (root / "gnd_any.pkl").write_bytes(f"cos\nsystem\n(S'touch {marker}'\ntR.".encode())
    with pytest.raises(ValueError, match=r"gnd_any\.pkl cannot be read: it asks for os\.system"):
        load_gnd(root)
    assert not marker.exists()


def test_images_that_no_list_names_and_other_files_are_counted(root: Path) -> None:
    for name in ("Thumbs.db", "keble_000001.png"):
        (root / "jpg" / name).touch()
    _pickle(root, _CLASSIC)
    found = load_gnd(root)
    # Of two of one name the published suffix is the image.
    assert found.queries[1].path.name == "keble_000001.jpg"
    assert str(found.left_out) == (
        "4 files left out: 3 that no list names (keble_000001.png, named_in_no_list.jpg, radcliffe_camera_000519.jpg), "
        "1 left by an operating system (Thumbs.db)"
    )


def test_an_image_of_any_type_is_found_by_its_name(root: Path) -> None:
    (root / "jpg" / "keble_000001.jpg").rename(root / "jpg" / "keble_000001.webp")
    _pickle(root, _CLASSIC)
    assert load_gnd(root).queries[1].path.name == "keble_000001.webp"

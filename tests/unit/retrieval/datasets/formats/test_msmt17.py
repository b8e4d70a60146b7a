from pathlib import Path

import pytest

from retrieval.datasets.format import Source
from retrieval.datasets.formats.msmt17 import load_msmt17, load_msmt17_training
from retrieval.datasets.missing import MissingImagesError
from retrieval.datasets.registry import open_retrieval, open_training, recognise


def _image(person: int, camera: int, number: int) -> str:
    return f"{person:04d}/{person:04d}_{number:03d}_{camera:02d}_0303morning_0015_0.jpg"


LISTS = {
    "list_train.txt": [_image(person, camera, 0) for person in range(8) for camera in (1, 15)],
    "list_val.txt": [_image(person, 7, 1) for person in range(8)],
    "list_query.txt": [_image(0, 1, 0), _image(1, 2, 0)],
    "list_gallery.txt": [_image(0, 1, 1), _image(0, 12, 1), _image(1, 3, 1), _image(2, 2, 1)],
}
VERSIONS = {"MSMT17_V1": ("train", "test"), "MSMT17_V2": ("mask_train_v2", "mask_test_v2")}


def _write(root: Path, folders: tuple[str, str] = VERSIONS["MSMT17_V1"]) -> Path:
    for name, images in LISTS.items():
        folder = folders[0] if name in ("list_train.txt", "list_val.txt") else folders[1]
        for image in images:
            file = root / folder / image
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        # The label beside a name is its person.
        (root / name).write_text("".join(f"{image} {int(image[:4])}\n" for image in reversed(images)))
    return root


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("pattern", [None, "msmt17"])
def test_both_versions_are_recognised_in_their_folder_or_below_it(
    tmp_path: Path, version: str, pattern: str | None
) -> None:
    root = _write(tmp_path / version, VERSIONS[version])
    for where in (tmp_path, root):
        assert recognise(where) == "msmt17"
        opened = open_retrieval(where, Source(pattern=pattern))
        assert [path.relative_to(root).as_posix() for path in opened.images] == [
            f"{VERSIONS[version][1]}/{image}" for image in LISTS["list_gallery.txt"]
        ]
        assert opened.protocol == "market"
        assert not opened.left_out


def test_person_0_is_asked_for_and_the_same_camera_is_junk(tmp_path: Path) -> None:
    opened = load_msmt17(_write(tmp_path))
    assert opened.queries[0].name == "0000_000_01_0303morning_0015_0"
    assert opened.queries[0].positives.tolist() == [1]
    assert opened.queries[0].junk.tolist() == [0]
    assert opened.cameras is not None
    assert opened.cameras[0].tolist() == [0, 11, 2, 1]


def test_both_training_lists_are_trained_on_but_for_the_identities_held_out(tmp_path: Path) -> None:
    _write(tmp_path)
    val = open_retrieval(tmp_path, Source(split="val"))
    train, everyone = (open_training(tmp_path, Source(split=split)) for split in ("train", "train_all"))
    assert train.classes == ("0001", "0002", "0003", "0004", "0005", "0006")
    assert (len(train.images), len(everyone.images), len(everyone.classes)) == (18, 24, 8)
    assert {path.parent.name for path in val.images} == {"0000", "0007"}
    assert len(val.queries) == 6
    assert not everyone.left_out


def test_the_training_list_may_be_the_only_one(tmp_path: Path) -> None:
    (_write(tmp_path) / "list_val.txt").unlink()
    trained = load_msmt17_training(tmp_path, "train_all")
    assert len(trained.images) == 16
    assert str(trained.left_out).startswith("8 files left out: 8 that no list names (train/0000/")


def test_images_that_are_not_there_are_named(tmp_path: Path) -> None:
    (_write(tmp_path) / "test" / LISTS["list_query.txt"][0]).unlink()
    with pytest.raises(
        MissingImagesError, match=r"list_query\.txt names 1 image that is not in .*: test/0000/0000_000"
    ):
        load_msmt17(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n", r"list_query\.txt is empty; it must list one image a line, such as 0000/0000_000_01"),
        (b"\xff\xfe", r"list_query\.txt is no text in UTF-8"),
        (b"../../x.jpg 0", r"list_query\.txt lists 1 paths that lead out of their folder"),
    ],
)
def test_a_list_that_cannot_be_right_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (_write(tmp_path) / "list_query.txt").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        load_msmt17(tmp_path)


def test_names_of_another_rule_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"by the pattern of VeRi-776: test/0000/0000_001"):
        open_retrieval(_write(tmp_path), Source(pattern="veri"))


def test_a_missing_folder_or_list_is_named(tmp_path: Path) -> None:
    (_write(tmp_path) / "list_train.txt").unlink()
    with pytest.raises(ValueError, match=r"list_train\.txt cannot be opened \(No such file"):
        load_msmt17_training(tmp_path)
    (tmp_path / "test").rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"holds no test or mask_test_v2/; the images of list_gallery\.txt"):
        load_msmt17(tmp_path)


def test_a_split_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split 'train' has no queries; test or val is right"):
        load_msmt17(tmp_path, "train")
    with pytest.raises(ValueError, match="split 'val' is not for training; train or train_all is right"):
        load_msmt17_training(tmp_path, "val")

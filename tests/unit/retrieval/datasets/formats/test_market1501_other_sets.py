"""Re-identification sets other than Market-1501 that lie in three folders: tiny sets in each published layout."""

from pathlib import Path

import pytest

from retrieval.datasets.format import Source
from retrieval.datasets.formats.market1501 import load_market, load_market_training
from retrieval.datasets.registry import open_retrieval, open_training, recognise

VERI = {
    "image_train": [f"{car:04d}_c{camera:03d}_00030600_0.jpg" for car in range(1, 9) for camera in (1, 20)],
    "image_test": [
        "0010_c002_00030600_0.jpg",
        "0010_c002_00030605_1.jpg",
        "0010_c012_00030600_0.jpg",
        "0776_c020_00030600_0.jpg",
    ],
    # As published: the queries are images of the database, too.
    "image_query": ["0010_c002_00030600_0.jpg", "0776_c020_00030600_0.jpg"],
}
DUKE = {
    "bounding_box_train": [f"{pid:04d}_c{camera}_f0046182.jpg" for pid in range(1, 9) for camera in (1, 8)],
    "bounding_box_test": ["0010_c2_f0046183.jpg", "0010_c5_f0046182.jpg", "0011_c5_f0046182.jpg"],
    "query": ["0010_c2_f0046182.jpg"],
}
CUHK03 = {
    "bounding_box_train": [f"{pid:04d}_c{camera}_{camera}.png" for pid in range(8) for camera in (1, 2)],
    "bounding_box_test": ["0010_c1_2.png", "0010_c2_6.png", "0000_c2_7.png"],
    "query": ["0010_c1_1.png"],
}
MSMT17 = {
    "bounding_box_train": [f"{pid:04d}_000_{camera}_0303morning_0015_0.jpg" for pid in range(8) for camera in ("01",)],
    "bounding_box_test": ["0000_000_01_0303morning_0016_0.jpg", "0000_001_14_0303noon_0015_0.jpg"],
    "query": ["0000_000_01_0303morning_0015_0.jpg"],
}
SETS = {"veri": VERI, "dukemtmc": DUKE, "cuhk03": CUHK03, "msmt17": MSMT17}


def _write(root: Path, files: dict[str, list[str]]) -> Path:
    for folder, names in files.items():
        (root / folder).mkdir(parents=True)
        for name in names:
            (root / folder / name).touch()
    return root


@pytest.mark.parametrize(
    ("preset", "positives", "junk"),
    [("veri", [2], [0, 1]), ("dukemtmc", [1], [0]), ("cuhk03", [2], [1]), ("msmt17", [1], [0])],
)
@pytest.mark.parametrize("named", [False, True])
def test_each_published_set_is_read_by_its_names_given_or_not(
    tmp_path: Path, preset: str, positives: list[int], junk: list[int], named: bool
) -> None:
    _write(tmp_path, SETS[preset])
    opened = open_retrieval(tmp_path, Source(pattern=preset if named else None))
    assert recognise(tmp_path) == "market1501"
    assert opened.protocol == "market"
    assert opened.queries[0].positives.tolist() == positives
    assert opened.queries[0].junk.tolist() == junk
    assert not opened.left_out


@pytest.mark.parametrize("preset", SETS)
def test_each_published_set_holds_out_identities_and_trains_on_the_others(tmp_path: Path, preset: str) -> None:
    _write(tmp_path, SETS[preset])
    val = open_retrieval(tmp_path, Source(split="val"))
    train, everyone = (open_training(tmp_path, Source(split=split)) for split in ("train", "train_all"))
    held_out = {path.name for path in val.images}
    assert {path.name[:4] for path in val.images} & set(train.classes) == set()
    assert held_out | {path.name for path in train.images} == {path.name for path in everyone.images}
    assert len(everyone.classes) == 8
    assert len(val.queries) == len(val.images)


def test_veri_counts_cameras_by_all_of_their_digits(tmp_path: Path) -> None:
    cameras = load_market(_write(tmp_path, VERI)).cameras
    assert cameras is not None
    assert cameras[0].tolist() == [1, 1, 11, 19]
    assert cameras[1].tolist() == [1, 19]


def test_the_folder_that_an_archive_makes_may_be_there(tmp_path: Path) -> None:
    for inner, files in (("VeRi", VERI), ("DukeMTMC-reID", DUKE)):
        root = tmp_path / f"of_{inner}"
        _write(root / inner, files)
        assert load_market(root).images[0].parent.parent == root / inner


def test_identity_0_is_background_in_market_1501_alone(tmp_path: Path) -> None:
    assert load_market_training(_write(tmp_path / "cuhk03", CUHK03), "train_all").classes[0] == "0000"
    market = {folder: [f"{name[:7]}s1_000001_00.jpg" for name in names] for folder, names in CUHK03.items()}
    assert load_market_training(_write(tmp_path / "market", market), "train_all").classes[0] == "0001"


def test_a_pattern_of_ones_own_reads_texts(tmp_path: Path) -> None:
    files = {
        "bounding_box_train": ["red@north 1.webp", "blue@north 1.webp", "blue@south 1.webp"],
        "bounding_box_test": ["green@north 1.webp", "green@south 1.webp", "green@south 2 bad.webp", "pink@east 1.webp"],
        "query": ["green@south 3.webp"],
    }
    pattern = r"(?P<identity>\w+)@(?P<camera>\w+) \d+(?P<junk> bad)?"
    _write(tmp_path / "own", files)
    opened = open_retrieval(tmp_path, Source(path="own", pattern=pattern))
    assert opened.name == "own"
    assert [path.name for path in opened.images] == ["green@north 1.webp", "green@south 1.webp", "pink@east 1.webp"]
    assert opened.queries[0].positives.tolist() == [0]
    assert opened.queries[0].junk.tolist() == [1]
    assert str(opened.left_out).startswith("1 file left out: 1 junk by their names (bounding_box_test/green@south 2")
    trained = open_training(tmp_path, Source(path="own", pattern=pattern, split="train"))
    assert trained.classes == ("red",)


def test_a_wrong_pattern_says_which_names_there_are(tmp_path: Path) -> None:
    _write(tmp_path, VERI)
    with pytest.raises(
        ValueError, match=r"by the pattern of DukeMTMC-reID: image_test/0010_c002_00030600_0\.jpg"
    ) as said:
        open_retrieval(tmp_path, Source(pattern="dukemtmc"))
    assert "another [data] pattern: market1501, veri, dukemtmc, msmt17, cuhk03, or a regular" in str(said.value)


def test_names_of_nobodys_rule_say_how_to_write_a_pattern(tmp_path: Path) -> None:
    _write(tmp_path, {"bounding_box_test": ["a1.jpg"], "query": ["a2.jpg"]})
    with pytest.raises(
        ValueError, match=r"pattern of Market-1501: .*a1\.jpg; 0002_c1s1.* or a regular expression of the"
    ):
        open_retrieval(tmp_path, Source())


def test_what_lies_beside_published_images_is_counted(tmp_path: Path) -> None:
    files = {
        "bounding_box_test": [
            "0001_c1s1_000001_00.jpg",
            "-1_c1s1_000001_00.jpg",
            "0001_c2s1_000001_00.png",
            "Thumbs.db",
        ],
        "query": ["0001_c2s1_000002_00.jpg"],
        "bounding_box_test/more": ["0001_c3s1_000001_00.jpg"],
    }
    opened = load_market(_write(tmp_path, files))
    assert [path.name for path in opened.images] == ["0001_c1s1_000001_00.jpg"]
    assert {reason: few.count for reason, few in opened.left_out.by_reason.items()} == {
        ".png": 1,
        "in deeper folders": 1,
        "left by an operating system": 1,
        "junk by their names": 1,
    }


def test_images_of_market_names_may_be_of_another_type_where_none_is_jpg(tmp_path: Path) -> None:
    files = {
        "bounding_box_test": ["0001_c1s1_000001_00.png", "0000_c1s1_000001_00.png"],
        "query": ["0001_c2s1_000002_00.png"],
    }
    assert load_market(_write(tmp_path, files)).queries[0].positives.tolist() == [1]

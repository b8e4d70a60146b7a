from pathlib import Path

import pytest

from retrieval.datasets.formats.utm import load_utm_folder, load_utm_training

_REST = "17@T@040.44000@-080.00000@pano0001@01@@@@@@@.jpg"


def _name(east: float, north: float) -> str:
    """As the published sets are named: seven digits and two decimals."""
    return f"@{east:010.2f}@{north:010.2f}@{_REST}"


def _write(root: Path, split: str, folder: str, *names: str) -> None:
    for name in names:
        path = root / "images" / split / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "pitts30k"
    database = [_name(585001.20, 4477000 + north) for north in (24, 25, 26)]
    _write(root, "test", "database", *database, "Thumbs.db")
    _write(root, "test", "queries", _name(585001.20, 4477000), _name(585001.20, 4476000))
    return root


def _refusal(root: Path) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each caller checks the message
        load_utm_folder(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_places_24_and_25_m_away_are_right_and_26_m_is_not(root: Path) -> None:
    places = load_utm_folder(root)
    assert (places.name, places.protocol) == ("pitts30k_test", "places")
    assert places.queries[1].positives.tolist() == [0, 1]
    assert places.queries[1].junk.tolist() == []


def test_a_query_without_a_place_near_it_stays(root: Path) -> None:
    query = load_utm_folder(root).queries[0]
    assert "4476000" in query.name
    assert query.positives.tolist() == []


def test_coordinates_are_east_then_north(root: Path) -> None:
    coordinates = load_utm_folder(root).coordinates
    assert coordinates is not None
    assert coordinates[0].tolist() == [[585001.2, 4477024.0], [585001.2, 4477025.0], [585001.2, 4477026.0]]
    assert coordinates[1].tolist() == [[585001.2, 4476000.0], [585001.2, 4477000.0]]


def test_an_at_in_a_parent_folder_changes_nothing(root: Path) -> None:
    before = load_utm_folder(root)
    moved = root.rename(root.with_name("me@home@1"))
    (moved / "images" / "test" / "database").rename(moved / "inner")
    (moved / "images" / "test" / "database" / "a@5@6").mkdir(parents=True)
    (moved / "inner").rename(moved / "images" / "test" / "database" / "a@5@6" / "b")
    after = load_utm_folder(moved)
    assert before.coordinates is not None
    assert after.coordinates is not None
    assert after.coordinates[0].tolist() == before.coordinates[0].tolist()
    assert after.queries[1].positives.tolist() == [0, 1]


def test_images_of_all_folders_are_in_the_order_of_their_paths(root: Path) -> None:
    _write(root, "test", "database", f"0/{_name(9, 9)}", f"Z/0/{_name(9, 9)}")
    names = [path.relative_to(root / "images/test/database").as_posix() for path in load_utm_folder(root).images]
    assert names == sorted(names)
    assert names[0] == f"0/{_name(9, 9)}"
    assert names[-1] == f"Z/0/{_name(9, 9)}"


@pytest.mark.parametrize("name", ["plain.jpg", "@east@1@.jpg", "@1.jpg"])
def test_an_image_without_coordinates_is_named(root: Path, name: str) -> None:
    _write(root, "test", "queries", name)
    assert f"1 images without coordinates in their names: queries/{name}" in _refusal(root)


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_coordinates_that_are_no_numbers_are_refused(root: Path, number: str) -> None:
    _write(root, "test", "queries", f"@{number}@1@.jpg")
    assert "each needs two finite numbers" in _refusal(root)


def test_a_missing_split_is_named_with_what_it_should_hold(root: Path) -> None:
    with pytest.raises(ValueError, match=r"images/val/database is missing or holds no image; .*@<east>@<north>@"):
        load_utm_folder(root, "val")
    for path in (root / "images" / "test" / "queries").iterdir():
        path.unlink()
    assert "images/test/queries is missing or holds no image" in _refusal(root)


def test_training_images_are_labelled_by_their_cell_of_10_m(tmp_path: Path) -> None:
    _write(tmp_path, "train", "database", _name(100, 209.99), _name(109.99, 200), _name(110, 200))
    _write(tmp_path, "train", "queries", _name(105, 205))
    training = load_utm_training(tmp_path)
    assert training.classes == ("100E_200N", "110E_200N")
    assert [path.parent.name for path in training.images] == ["database"] * 3 + ["queries"]
    assert training.labels.tolist() == [0, 0, 1, 0]
    assert training.coordinates_N2 is not None
    assert training.coordinates_N2[3].tolist() == [105, 205]
    assert training.negative_metres == 25


def test_a_query_pairs_with_the_database_up_to_10_m_away(tmp_path: Path) -> None:
    _write(tmp_path, "train", "database", *(_name(500000, 4000000 + north) for north in (0, 10, 10.01, 20)))
    _write(tmp_path, "train", "queries", _name(500000, 4000000), _name(500000, 4000030))
    pairs_P2 = load_utm_training(tmp_path).pairs_P2
    assert pairs_P2 is not None
    # The images are the database's four, then the queries.
    assert pairs_P2.tolist() == [[4, 0], [4, 1], [5, 3]]


def test_training_images_without_queries_have_cells_and_no_pairs(tmp_path: Path) -> None:
    _write(tmp_path, "train", "database", _name(1, 1), _name(50, 1))
    training = load_utm_training(tmp_path)
    assert training.classes == ("0E_0N", "50E_0N")
    assert training.pairs_P2 is None


def test_other_files_are_counted(root: Path) -> None:
    _write(root, "test", "queries", "._1.jpg", "raw.dng")
    assert str(load_utm_folder(root).left_out) == (
        "3 files left out: 1 .dng (queries/raw.dng), 1 hidden (queries/._1.jpg), "
        "1 left by an operating system (database/Thumbs.db)"
    )
    assert load_utm_training(root, "test").left_out.count == 3

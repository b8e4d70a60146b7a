from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from retrieval.datasets.formats.dbstruct import load_dbstruct, load_dbstruct_training
from retrieval.datasets.missing import MissingImagesError

_DATABASE = [f"000/{number:06d}_pitch1_yaw1.jpg" for number in range(3)]
_QUERIES = ["000/000000_pitch1_yaw1.jpg", "001/000001_pitch2_yaw1.jpg"]
_EAST, _NORTH = 584_000.25, 4_477_000.5


def _cells(names: list[str]) -> np.ndarray:
    cells = np.empty((len(names), 1), dtype=object)
    cells[:, 0] = names
    return cells


def _utm(*norths: float) -> np.ndarray:
    return np.array([[_EAST] * len(norths), [_NORTH + north for north in norths]])


_UTM_DB, _UTM_Q = _utm(24, 25, 26), _utm(0, -500)


def _pitts(**changes: Any) -> dict[str, Any]:
    """The fields in the published order."""
    return {
        "whichSet": "test",
        "dbImageFns": _cells(_DATABASE),
        "utmDb": _UTM_DB,
        "qImageFns": _cells(_QUERIES),
        "utmQ": _UTM_Q,
        "numImages": 3.0,
        "numQueries": 2.0,
        "posDistThr": 25.0,
        "posDistSqThr": 625.0,
        "nonTrivPosDistSqThr": 100.0,
        **changes,
    }


def _tokyo_tm() -> dict[str, Any]:
    """Time stamps stand behind the coordinates, and the other fields move on."""
    return {
        "whichSet": "val",
        "dbImageFns": _cells(_DATABASE),
        "utmDb": _UTM_DB,
        "dbTimeStamp": np.array([[201301.0, 201302.0, 201303.0]]),
        "qImageFns": _cells(_QUERIES),
        "utmQ": _UTM_Q,
        "qTimeStamp": np.array([[201401.0, 201402.0]]),
        "numDb": 3.0,
        "numQ": 2.0,
        "posDistThr": 25.0,
        "posDistSqThr": 625.0,
        "nonTrivPosDistSqThr": 100.0,
    }


def _save(file: Path, struct: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    savemat(file, {"dbStruct": struct})
    return file


def _touch(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.fixture
def mat(tmp_path: Path) -> Path:
    _touch(tmp_path / "images", _DATABASE)
    _touch(tmp_path / "queries", _QUERIES)
    return _save(tmp_path / "datasets" / "pitts30k_test.mat", _pitts())


def _refusal(mat: Path, **options: bool) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each caller checks the message
        load_dbstruct(mat, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_places_24_and_25_m_away_are_right_and_26_m_is_not(mat: Path) -> None:
    places = load_dbstruct(mat)
    assert (places.name, places.protocol, places.panorama) == ("pitts30k_test", "places", 1)
    assert places.queries[0].positives.tolist() == [0, 1]
    assert places.queries[0].junk.tolist() == []


def test_a_query_without_a_place_near_it_stays(mat: Path) -> None:
    assert load_dbstruct(mat).queries[1].positives.tolist() == []


def test_coordinates_are_rows_of_east_and_north(mat: Path) -> None:
    coordinates = load_dbstruct(mat).coordinates
    assert coordinates is not None
    assert coordinates[0].tolist() == [[_EAST, _NORTH + north] for north in (24, 25, 26)]
    assert coordinates[1].tolist() == [[_EAST, _NORTH], [_EAST, _NORTH - 500]]


def test_images_are_in_the_order_of_the_file(mat: Path) -> None:
    _save(mat, _pitts(dbImageFns=_cells(_DATABASE[::-1])))
    assert [path.name for path in load_dbstruct(mat).images] == [Path(name).name for name in _DATABASE[::-1]]


def test_time_stamps_between_the_fields_change_nothing_where_all_differ(mat: Path) -> None:
    _save(mat, _tokyo_tm())
    assert load_dbstruct(mat).queries[0].positives.tolist() == [0, 1]
    assert load_dbstruct(mat).queries[0].junk.tolist() == []


@pytest.mark.parametrize("named", [True, False])
def test_what_was_taken_at_the_querys_time_is_junk_near_or_far(mat: Path, named: bool) -> None:
    fields = _tokyo_tm() | {"qTimeStamp": np.array([[201301.0, 201303.0]])}
    _save(mat, fields if named else {f"f{position}": value for position, value in enumerate(fields.values())})
    first, second = load_dbstruct(mat).queries
    assert (first.positives.tolist(), first.junk.tolist()) == ([1], [0])
    assert (second.positives.tolist(), second.junk.tolist()) == ([], [2])


def test_images_of_one_time_are_no_pair(mat: Path) -> None:
    fields = _tokyo_tm() | {"utmDb": _utm(1, 2, 26), "qTimeStamp": np.array([[201301.0, 201401.0]])}
    pairs = load_dbstruct_training(_save(mat, fields)).pairs_P2
    assert pairs is not None
    assert pairs.tolist() == [[3, 1]]


def test_time_stamps_of_another_number_are_refused(mat: Path) -> None:
    _save(mat, _tokyo_tm() | {"qTimeStamp": np.array([[201401.0]])})
    assert "time stamps are float64 of shape (1, 3) and float64 of shape (1, 1); 3 and 2 numbers" in _refusal(mat)


def test_with_time_stamps_the_queries_may_lie_among_the_database(tmp_path: Path) -> None:
    _touch(tmp_path / "images", [*_DATABASE, *_QUERIES])
    mat = _save(tmp_path / "datasets" / "tokyoTM_val.mat", _tokyo_tm())
    assert [query.name for query in load_dbstruct(mat).queries] == _QUERIES


@pytest.mark.parametrize("fields", [_pitts(), _tokyo_tm()])
def test_fields_of_other_names_are_read_by_their_position(mat: Path, fields: dict[str, Any]) -> None:
    _save(mat, {f"f{position}": value for position, value in enumerate(fields.values())})
    places = load_dbstruct(mat)
    assert [query.path.name for query in places.queries] == [Path(name).name for name in _QUERIES]
    assert places.queries[0].positives.tolist() == [0, 1]


def test_fields_that_are_neither_named_nor_placed_so_are_listed(mat: Path) -> None:
    _save(mat, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 5.0})
    assert "has the fields a, b, c, d, e; dbImageFns, utmDb, qImageFns, utmQ are needed" in _refusal(mat)


@pytest.mark.parametrize("queries", ["queries_real", "queries", "query"])
@pytest.mark.parametrize("database", ["images", "database", "."])
@pytest.mark.parametrize("inner", ["datasets", "."])
def test_images_lie_beside_the_file_or_above_it(tmp_path: Path, database: str, queries: str, inner: str) -> None:
    _touch(tmp_path / database, _DATABASE)
    _touch(tmp_path / queries, _QUERIES)
    places = load_dbstruct(_save(tmp_path / inner / "pitts250k_val.mat", _pitts()))
    assert [path.resolve() for path in places.images] == [(tmp_path / database / name).resolve() for name in _DATABASE]
    assert [query.path for query in places.queries] == [tmp_path / queries / name for name in _QUERIES]


def test_queries_are_never_taken_for_the_database_images_of_their_names(tmp_path: Path) -> None:
    _touch(tmp_path, [*_DATABASE, *_QUERIES])
    message = _refusal(_save(tmp_path / "pitts250k_val.mat", _pitts()))
    assert f"no folder queries_real or queries or query in {tmp_path}" in message


def test_a_png_is_found_where_the_file_says_jpg(mat: Path) -> None:
    image = mat.parent.parent / "images" / _DATABASE[1]
    image.rename(image.with_suffix(".png"))
    images = load_dbstruct(mat).images
    assert [path.suffix for path in images] == [".jpg", ".png", ".jpg"]
    assert all(path.is_file() for path in images)


def test_missing_images_are_counted_and_named(mat: Path) -> None:
    missing = [mat.parent.parent / "images" / name for name in _DATABASE[:2]]
    missing.append(mat.parent.parent / "queries" / _QUERIES[1])
    for path in missing:
        path.unlink()
    message = _refusal(mat)
    assert f"pitts30k_test.mat names 3 images that are not in {mat.parent.parent}: images/000/000000" in message
    with pytest.raises(MissingImagesError) as caught:
        load_dbstruct(mat)
    assert list(caught.value.paths) == missing
    assert len(caught.value.there) == 2


def test_a_name_that_leaves_the_folder_is_refused(mat: Path) -> None:
    _save(mat, _pitts(qImageFns=_cells(["../images/000/000000_pitch1_yaw1.jpg", "/etc/passwd"])))
    assert "lists 2 paths that lead out of their folder, or nowhere: '../images" in _refusal(mat)


def test_lists_and_coordinates_of_unequal_length_are_refused(mat: Path) -> None:
    _save(mat, _pitts(utmDb=_utm(1, 2)))
    assert "3 images have float64 coordinates of shape (2, 2); (2, 3) is right" in _refusal(mat)


def test_coordinates_that_are_no_numbers_are_refused(mat: Path) -> None:
    _save(mat, _pitts(utmQ=_utm(0, float("nan"))))
    assert "2 query images have coordinates of shape (2, 2); each needs two finite numbers" in _refusal(mat)


def test_an_empty_list_is_refused(mat: Path) -> None:
    _save(mat, _pitts(qImageFns=np.empty((0, 1), dtype=object), utmQ=np.empty((2, 0))))
    assert "lists no image of the database or no query" in _refusal(mat)


def test_a_list_of_something_else_than_names_is_refused(mat: Path) -> None:
    cells = _cells(_QUERIES)
    cells[1, 0] = np.array([[1.0, 2.0]])
    _save(mat, _pitts(qImageFns=cells))
    assert "in the list of images a cell holds" in _refusal(mat)


def _panoramas(root: Path, count: int) -> Path:
    names = [f"{number // 12:05d}/{number:04d}.jpg" for number in range(count)]
    _touch(root / "images", names)
    _touch(root / "query", _QUERIES)
    fields = _pitts(dbImageFns=_cells(names), utmDb=_utm(*([0.0] * count)))
    return _save(root / "datasets" / "tokyo247.mat", fields)


def test_twelve_cutouts_are_a_panorama_when_asked(tmp_path: Path) -> None:
    mat = _panoramas(tmp_path, 24)
    assert load_dbstruct(mat, panoramas=True).panorama == 12
    assert load_dbstruct(mat).panorama == 1


def test_a_database_that_is_no_multiple_of_twelve_has_no_panoramas(tmp_path: Path) -> None:
    mat = _panoramas(tmp_path, 23)
    assert "23 images in panoramas of 12" in _refusal(mat, panoramas=True)
    assert len(load_dbstruct(mat).images) == 23


def test_training_images_are_the_database_then_the_queries(mat: Path) -> None:
    _save(mat, _pitts(utmDb=_utm(10, 10.5, 9)))
    training = load_dbstruct_training(mat)
    root = mat.parent.parent
    wanted = [root / "images" / name for name in _DATABASE] + [root / "queries" / name for name in _QUERIES]
    assert list(training.images) == wanted
    assert training.pairs_P2 is not None
    assert training.pairs_P2.tolist() == [[3, 0], [3, 2]]
    assert training.coordinates_N2 is not None
    assert training.coordinates_N2[4].tolist() == [_EAST, _NORTH - 500]


def test_training_images_of_one_cell_of_10_m_are_a_class(mat: Path) -> None:
    # Norths …010.5, …010.0, …009.5, then …000.5 and …500.5 of the kilometre before.
    _save(mat, _pitts(utmDb=_utm(10, 9.5, 9)))
    training = load_dbstruct_training(mat)
    assert training.classes == ("584000E_4476500N", "584000E_4477000N", "584000E_4477010N")
    assert training.labels.tolist() == [2, 2, 1, 1, 0]


def test_images_beside_those_of_the_list_are_counted(mat: Path) -> None:
    _touch(mat.parent.parent / "images", ["000/000009_pitch1_yaw1.jpg", "009/000009_pitch1_yaw1.jpg"])
    for opened in (load_dbstruct(mat), load_dbstruct_training(mat)):
        assert str(opened.left_out) == (
            "1 file left out: 1 that other lists name, or none (images/000/000009_pitch1_yaw1.jpg)"
        )

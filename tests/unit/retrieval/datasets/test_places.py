"""Ground truth, classes and pairs made from coordinates and times; how formats name them is formats/'s."""

from pathlib import Path

import numpy as np
import pytest

from retrieval.datasets.places import Places, places_to_rank, places_to_train_on

ROOT = Path("photos")
# A corner of the 10 m grid, as far from the origin as UTM coordinates of a city are.
CORNER = np.array([585_000.0, 4_477_000.0])


def places(database: list[tuple[float, float]], queries: list[tuple[float, float]], times=None) -> Places:
    """A split of images at so many metres from the corner."""
    return Places(
        name="city_val",
        root=ROOT,
        database=[f"database/{index}.jpg" for index in range(len(database))],
        queries=[f"queries/{index}.jpg" for index in range(len(queries))],
        database_N2=CORNER + np.array(database, dtype=np.float64).reshape(-1, 2),
        query_Q2=CORNER + np.array(queries, dtype=np.float64).reshape(-1, 2),
        times=None if times is None else (np.array(times[0]), np.array(times[1])),
    )


def positives(split: Places) -> list[list[int]]:
    return [query.positives.tolist() for query in places_to_rank(split).queries]


def junk(split: Places) -> list[list[int]]:
    return [query.junk.tolist() for query in places_to_rank(split).queries]


def test_right_answers_lie_at_most_25_m_away_in_any_direction():
    database = [(25.0, 0.0), (0.0, -25.0), (15.0, 20.0), (25.01, 0.0), (18.0, 18.0)]
    assert positives(places(database, [(0.0, 0.0)])) == [[0, 1, 2]]


def test_a_query_without_a_right_answer_stays_and_nothing_is_junk_without_times():
    split = places([(0.0, 0.0)], [(500.0, 0.0), (1.0, 0.0)])
    assert positives(split) == [[], [0]]
    assert junk(split) == [[], []]


def test_images_of_the_querys_own_time_are_junk_however_far_and_no_right_answers():
    split = places(
        [(0, 0), (5, 0), (900, 0), (901, 0)], [(1, 0), (2, 0)], (["may", "june", "may", "june"], ["may"] * 2)
    )
    assert positives(split) == [[1], [1]]
    assert junk(split) == [[0, 2], [0, 2]]


def test_a_time_that_the_database_has_not_makes_nothing_junk():
    split = places([(0, 0), (5, 0)], [(1, 0)], ([2012, 2013], [2020]))
    assert (positives(split), junk(split)) == ([[0, 1]], [[]])


def test_a_ranking_set_has_its_names_coordinates_and_rules():
    split = places([(0.0, 0.0), (1.0, 2.0)], [(3.0, 4.0)])
    found = places_to_rank(split, panorama=2)
    assert (found.name, found.protocol, found.panorama) == ("city_val", "places", 2)
    assert list(found.images) == [ROOT / "database/0.jpg", ROOT / "database/1.jpg"]
    assert [(query.name, query.path, query.box) for query in found.queries] == [
        ("queries/0.jpg", ROOT / "queries/0.jpg", None)
    ]
    assert found.coordinates is not None
    assert [each.tolist() for each in found.coordinates] == [split.database_N2.tolist(), split.query_Q2.tolist()]


@pytest.mark.parametrize("empty", ["database", "queries"])
def test_a_split_without_images_to_rank_is_refused(empty):
    split = places([], [(0.0, 0.0)]) if empty == "database" else places([(0.0, 0.0)], [])
    with pytest.raises(ValueError, match=r"city_val: \d images and \d queries; a retrieval set needs at least one"):
        places_to_rank(split)


def test_classes_are_cells_of_10_m_named_by_their_south_west_corner():
    found = places_to_train_on(places([(0.0, 0.0), (9.99, 9.99), (10.0, 0.0)], [(0.0, 10.0), (5.0, 5.0)]))
    assert found.classes == ("585000E_4477000N", "585000E_4477010N", "585010E_4477000N")
    assert found.labels.tolist() == [0, 0, 2, 1, 0]
    assert [str(path) for path in found.images][3:] == ["photos/queries/0.jpg", "photos/queries/1.jpg"]


def test_cells_west_and_south_of_the_origin_are_as_large_as_others():
    found = places_to_train_on(places([tuple(metres - CORNER) for metres in (-0.1, 0.1, -10.0)], []))
    assert found.classes == ("-10E_-10N", "0E_0N")
    assert found.labels.tolist() == [0, 1, 0]


def test_every_query_is_paired_with_each_database_image_at_most_10_m_away():
    split = places([(0, 0), (10, 0), (10.01, 0), (20, 0)], [(0, 0), (300, 0), (15, 0)])
    pairs_P2 = places_to_train_on(split).pairs_P2
    assert pairs_P2 is not None
    # Queries stand behind the four database images.
    assert pairs_P2.tolist() == [[4, 0], [4, 1], [6, 1], [6, 2], [6, 3]]


def test_only_images_of_different_times_are_paired():
    split = places([(0, 0), (1, 0), (2, 0)], [(0, 0), (1, 0)], ([1, 2, 1], [1, 2]))
    pairs_P2 = places_to_train_on(split).pairs_P2
    assert pairs_P2 is not None
    assert pairs_P2.tolist() == [[3, 1], [4, 0], [4, 2]]


@pytest.mark.parametrize(
    "split",
    [
        places([(0, 0)], [(11, 0)]),
        places([(0, 0)], []),
        places([], [(0, 0)]),
        places([(0, 0)], [(0, 0)], ([1], [1])),
    ],
    ids=["far apart", "no queries", "no database", "of one time"],
)
def test_where_no_image_has_a_partner_any_two_of_a_cell_are_a_pair(split):
    assert places_to_train_on(split).pairs_P2 is None


def test_images_at_most_25_m_apart_are_never_negatives_in_training():
    found = places_to_train_on(places([(0, 0), (3, 0)], [(7, 0)]))
    assert found.negative_metres == 25.0
    assert found.coordinates_N2 is not None
    assert (found.coordinates_N2 - CORNER).tolist() == [[0, 0], [3, 0], [7, 0]]


@pytest.mark.parametrize("wrong", [np.zeros((2, 2)), np.zeros((1, 3)), np.zeros(2), np.array([[0.0, np.nan]])])
def test_an_image_without_two_finite_coordinates_is_refused(wrong):
    right = np.zeros((1, 2))
    with pytest.raises(ValueError, match=r"^s: 1 query images have coordinates .* metres east and north$"):
        Places("s", ROOT, ["d.jpg"], ["q.jpg"], right, wrong)
    with pytest.raises(ValueError, match=r"^s: 1 database images have coordinates"):
        Places("s", ROOT, ["d.jpg"], ["q.jpg"], wrong, right)

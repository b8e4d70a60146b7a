from pathlib import Path

import numpy as np
import pytest

from retrieval.datasets.base import Images, Query, RetrievalSet, TrainingSet
from retrieval.datasets.checks.ground_truth import judge_ground_truth, judge_training
from retrieval.datasets.checks.image_contents import ImageContents
from retrieval.datasets.left_out import DEEPER, LeftOut
from retrieval.evaluation.metrics import positives_within

NONE = np.empty(0, dtype=np.int64)


def write(folder: Path, count: int, kind: str) -> list[Path]:
    files = [folder / f"{kind}{number}.jpg" for number in range(count)]
    for file in files:
        file.write_text(file.name)
    return files


def build(folder: Path, positives, junk=None, *, images: int = 100, box=None, **options) -> RetrievalSet:
    """Write a set whose queries have these positives and junk."""
    database, queries = write(folder, images, "image"), write(folder, len(positives), "query")
    junk = junk or [[] for _ in positives]
    asked = tuple(
        Query(path.name, path, box, np.array(right, dtype=np.int64), np.array(left_out, dtype=np.int64))
        for path, right, left_out in zip(queries, positives, junk, strict=True)
    )
    return RetrievalSet("set", Images(folder, [path.name for path in database]), asked, **options)


def judge(retrieval_set: RetrievalSet) -> list[tuple[str, bool]]:
    paths = [*retrieval_set.images, *(query.path for query in retrieval_set.queries)]
    return [(each.text, each.is_error) for each in judge_ground_truth(retrieval_set, ImageContents.of(paths))]


def error_of(retrieval_set: RetrievalSet) -> str:
    ((text, is_error),) = judge(retrieval_set)
    assert is_error
    return text


def warnings_of(retrieval_set: RetrievalSet) -> list[str]:
    judged = judge(retrieval_set)
    assert not any(is_error for _, is_error in judged)
    return [text for text, _ in judged]


def people(folder: Path, database_cameras, query_cameras, *, identities: int = 20) -> RetrievalSet:
    """Write a set in which image i and query i show identity i modulo `identities`."""
    database, queries = np.array(database_cameras), np.array(query_cameras)
    shows = np.arange(len(database)) % identities
    right = [np.flatnonzero((shows == i) & (database != camera)) for i, camera in enumerate(queries)]
    junk = [np.flatnonzero((shows == i) & (database == camera)) for i, camera in enumerate(queries)]
    return build(folder, right, junk, images=len(database), protocol="market", cameras=(database, queries))


def places(folder: Path, database_N2, query_Q2) -> RetrievalSet:
    database_N2, query_Q2 = np.array(database_N2, dtype=float), np.array(query_Q2, dtype=float)
    near = positives_within(database_N2, query_Q2)
    return build(folder, near, images=len(database_N2), protocol="places", coordinates=(database_N2, query_Q2))


def test_nothing_is_said_of_a_sound_set(tmp_path):
    assert judge(build(tmp_path, [[i, i + 1] for i in range(20)])) == []


def test_one_camera_for_all_is_named(tmp_path):
    assert "none of the 20 queries has an answer in the database: all images carry camera 1" in error_of(
        people(tmp_path, [0] * 40, [0] * 20)
    )


def test_identities_seen_by_their_own_camera_alone_are_told_from_one_camera(tmp_path):
    cameras = [number % 2 for number in range(40)]
    text = error_of(people(tmp_path, cameras, cameras[:20]))
    assert "every image of a query's identity is of the query's own camera" in text


def test_identities_that_the_database_lacks(tmp_path):
    strangers = build(tmp_path, [[]] * 12, protocol="market", cameras=(np.arange(100) % 4, np.arange(12) % 4))
    assert "no query shows an identity of the database" in error_of(strangers)


METRES = [[500_000.25 + 40 * number, 4_000_000.5] for number in range(30)]
DEGREES = [[-79.99 + 0.0004 * number, 40.44] for number in range(30)]


def test_degrees_in_place_of_metres(tmp_path):
    text = error_of(places(tmp_path, DEGREES, DEGREES[:12]))
    assert text == (
        "set: a random order of the database scores 100%: coordinates look like degrees; metres (UTM) are right"
    )


def test_degrees_that_span_the_world_are_doubtful(tmp_path):
    world = [[12.5 * number - 150.3, 4.1 * number - 60.7] for number in range(25)]
    assert any("look like degrees" in text for text in warnings_of(places(tmp_path, world, world[:12])))


def test_coordinates_that_are_all_the_same(tmp_path):
    assert "all images carry the same coordinates" in error_of(places(tmp_path, [[5e5, 4e6]] * 30, [[5e5, 4e6]] * 12))


def test_a_database_in_degrees_and_queries_in_metres(tmp_path):
    assert "coordinates of the database look like degrees" in error_of(places(tmp_path, DEGREES, METRES[:12]))


def test_east_and_north_swapped_in_the_queries(tmp_path):
    assert "east and north look swapped" in error_of(places(tmp_path, METRES, np.array(METRES[:12])[:, ::-1]))


def test_another_zone(tmp_path):
    away = np.array(METRES[:12]) + np.array([0, 600_000])
    assert "the middle of one is 600,000 m from that of the other" in error_of(places(tmp_path, METRES, away))


def test_metres_are_sound(tmp_path):
    assert judge(places(tmp_path, METRES, METRES[:12])) == []


def test_lists_without_answers(tmp_path):
    assert "its ground truth lists none" in error_of(build(tmp_path, [[]] * 12))
    assert "all that its ground truth lists is junk" in error_of(build(tmp_path, [[]] * 12, [[1, 2]] * 12))


def test_nearly_all_of_the_database_is_right(tmp_path):
    text = error_of(build(tmp_path, [range(99)] * 12))
    assert text == (
        "set: a random order of the database scores 99%: "
        "99% of the images that are ranked for a query are right answers"
    )


def test_most_of_the_database_is_right(tmp_path):
    (text,) = warnings_of(build(tmp_path, [range(70)] * 12))
    assert "a random order of the database scores 71%" in text or "scores 70%" in text


def test_junk_is_not_ranked(tmp_path):
    assert "100%" in error_of(build(tmp_path, [range(5)] * 12, [range(5, 100)] * 12))


@pytest.mark.parametrize(
    ("protocol", "role"),
    [("classic", "left out of the mAP"), ("market", "counts as 0 in the mAP"), ("places", "counts as a miss")],
)
def test_queries_without_an_answer_are_counted(tmp_path, protocol, role):
    (text,) = warnings_of(build(tmp_path, [[1]] * 12 + [[]] * 20, protocol=protocol))
    assert text.startswith("set: 20 of 32 queries have no answer in the database")
    assert role in text


def test_few_queries_are_too_few(tmp_path):
    assert warnings_of(build(tmp_path, [[1], [2], [3], [4]])) == [
        "set: only 4 queries have an answer: one alone moves the score by 25%"
    ]


def own_pictures(folder: Path, how: str, positives, **options) -> RetrievalSet:
    """Write a set in which query i is image i, once more."""
    made = build(folder, positives, **options)
    for query, image in zip(made.queries, made.images, strict=False):
        query.path.unlink()
        match how:
            case "link":
                query.path.symlink_to(image)
            case "copy":
                query.path.write_bytes(image.read_bytes())
    return made


@pytest.mark.parametrize("how", ["link", "copy"])
def test_a_query_answered_by_its_own_picture_alone(tmp_path, how):
    assert "every query is answered by its own picture" in error_of(
        own_pictures(tmp_path, how, [[i] for i in range(12)])
    )


def test_a_place_counts_as_found_with_its_own_picture_whatever_else_is_right(tmp_path):
    both = [[i, i + 50] for i in range(12)]
    assert "every query is answered by its own picture" in error_of(
        own_pictures(tmp_path, "copy", both, protocol="places")
    )


def test_own_pictures_among_other_answers_are_counted(tmp_path):
    (text,) = warnings_of(own_pictures(tmp_path, "copy", [[i, i + 50] for i in range(12)]))
    assert text.startswith("set: 12 of 12 queries have their own picture among their right answers")


def test_own_pictures_among_wrong_answers_are_counted(tmp_path):
    (text,) = warnings_of(own_pictures(tmp_path, "link", [[i + 50] for i in range(12)]))
    assert text.startswith("set: 12 of 12 queries have their own picture among their wrong answers")


def test_own_pictures_that_are_junk_are_as_they_should_be(tmp_path):
    assert judge(own_pictures(tmp_path, "copy", [[i + 50] for i in range(12)], junk=[[i] for i in range(12)])) == []


def test_a_part_of_a_picture_is_another_picture(tmp_path):
    crops = own_pictures(tmp_path, "copy", [[i] for i in range(12)], box=(0.0, 0.0, 5.0, 5.0))
    assert judge(crops) == []


def test_a_revisited_level_without_an_answer(tmp_path):
    assert warnings_of(build(tmp_path, [[1]] * 12, protocol="revisited")) == [
        "set: no query has an answer of the Hard protocol, which scores nothing"
    ]


def training(folder: Path, labels, **options) -> list[str]:
    files = write(folder, len(labels), "image")
    classes = tuple(str(label) for label in sorted(set(labels)))
    train = TrainingSet(files, np.array(labels), classes, **options)
    return [finding.text for finding in judge_training("train", train, ImageContents.of(files))]


def test_training_images_of_some_classes_are_sound(tmp_path):
    assert training(tmp_path, [0, 0, 1, 1, 2]) == []


def test_training_images_of_one_class_tell_nothing_apart(tmp_path):
    assert training(tmp_path, [0, 0, 0]) == [
        "train: all 3 training images are of one class: nothing is to be told apart"
    ]


def test_training_classes_of_one_image_each_need_pairs(tmp_path):
    assert training(tmp_path, [0, 1, 2]) == ["train: no class has two training images: nothing is to be found alike"]
    assert training(tmp_path, [0, 1, 2], pairs_P2=np.array([[0, 1]])) == []


def test_a_training_picture_with_two_classes_is_counted(tmp_path):
    files = write(tmp_path, 6, "image")
    for copy, original in ((2, 0), (3, 1), (5, 4)):
        files[copy].write_bytes(files[original].read_bytes())
    train = TrainingSet(files, np.array([0, 0, 1, 1, 2, 2]), ("a", "b", "c"))
    assert [each.text for each in judge_training("train", train, ImageContents.of(files))] == [
        "train: 2 training pictures are in more than one class, by content"
    ]


def test_more_images_beside_the_set_than_in_it_are_doubtful(tmp_path):
    deeper = LeftOut.of(DEEPER, [f"a/b/{number}.jpg" for number in range(5)])
    (text,) = training(tmp_path, [0, 0, 1, 1], left_out=deeper)
    assert text.startswith("train: 4 images are read and 5 that lie deeper or outside of class folders are not")
    assert training(tmp_path, [0, 0, 1, 1], left_out=LeftOut.of("hidden", map(str, range(9)))) == []

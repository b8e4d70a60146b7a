"""The question whether a ground truth can tell networks apart, asked before anything trains.

Only lists are read: positives, junk, cameras, coordinates, and which image files are the same. Letters: Q queries.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.datasets.base import Indices, RetrievalSet, TrainingSet
from retrieval.datasets.checks.finding import Finding
from retrieval.datasets.checks.image_contents import ImageContents
from retrieval.datasets.left_out import DEEPER, OUTSIDE, Few, LeftOut
from retrieval.evaluation.chance import count_ranked, found_among_first, trapezoid_precision
from retrieval.evaluation.metrics import positives_within

FEW_QUERIES = 10
"""With fewer queries that have an answer, one of them moves every score by more than ten points."""
HIGH_CHANCE = 0.5
"""Above this score of a random order a set is doubtful: less than half of the scale is left to tell networks apart."""
CERTAIN_CHANCE = 0.95
"""Above this one it is of no use: the worst network scores about as well as the best."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class _Counts:
    """What the ground truth says of each query.

    Attributes:
        relevant_Q: images that are right.
        ranked_Q: images that are ranked: all but junk.
        own_right_Q: right images that are the query's own picture.
        own_wrong_Q: wrong images that are the query's own picture.
    """

    relevant_Q: Indices
    ranked_Q: Indices
    own_right_Q: Indices
    own_wrong_Q: Indices

    @property
    def answered(self) -> Flags:
        """Queries that have an answer."""
        return self.relevant_Q > 0

    def given_away(self, protocol: str) -> Flags:
        """Queries that any network answers, since the right picture is their own.

        A place counts as found with its first right image; average precision asks for all of them.
        """
        if protocol == "places":
            return self.own_right_Q > 0
        return self.answered & (self.own_right_Q == self.relevant_Q)

    def chance(self, protocol: str) -> float:
        """Return what a random order scores on the queries that have an answer: recall at 1, or mAP."""
        relevant_Q, ranked_Q = self.relevant_Q[self.answered], self.ranked_Q[self.answered]
        if protocol == "places":
            return float(found_among_first(relevant_Q, ranked_Q, 1).mean())
        return float(trapezoid_precision(relevant_Q, ranked_Q).mean())


def judge_ground_truth(retrieval_set: RetrievalSet, contents: ImageContents) -> list[Finding]:
    """Return what keeps the ground truth of a set from telling networks apart; nothing where all is well.

    Errors: no query has an answer; a random order scores nearly as well as a perfect one; every query's answer is its
    own picture. Warnings: the same of some queries only, fewer than `FEW_QUERIES` with an answer, a query's own picture
    among its wrong answers, a level of the revisited protocols without an answer, coordinates that look like degrees.

    A query's own picture is the same file, a link to it, or a copy of it. A query that is a part of its picture, as
    those of Oxford5k, whose own pictures are right answers by its protocol, is another picture.

    Args:
        retrieval_set: as it was read.
        contents: of its database and its queries.
    """
    counts = _count(retrieval_set, contents)
    name, protocol, total = retrieval_set.name, retrieval_set.protocol, len(retrieval_set.queries)
    answered = int(counts.answered.sum())
    if not answered:
        cause = _why_unanswered(retrieval_set)
        return [Finding(f"{name}: none of the {total} queries has an answer in the database: {cause}", is_error=True)]
    chance = counts.chance(protocol)
    if chance >= CERTAIN_CHANCE:
        cause = _why_all_answer(retrieval_set, counts)
        return [Finding(f"{name}: a random order of the database scores {chance:.0%}: {cause}", is_error=True)]
    given_away = int(counts.given_away(protocol).sum())
    if given_away == answered:
        return [Finding(f"{name}: every query is answered by its own picture; {_OWN_AS_JUNK}", is_error=True)]
    return list(_doubts(retrieval_set, counts, chance))


def judge_training(name: str, train: TrainingSet, contents: ImageContents) -> Iterator[Finding]:
    """Yield what keeps training images from teaching anything; nothing where all is well.

    Args:
        name: of the set, for the lines.
        train: as it was read.
        contents: of its images.
    """
    sizes = np.bincount(train.labels)
    if sizes.size == 1:
        yield Finding(f"{name}: all {len(train.images)} training images are of one class: nothing is to be told apart")
    elif sizes.max() == 1 and train.pairs_P2 is None:
        yield Finding(f"{name}: no class has two training images: nothing is to be found alike")
    numbers = contents.numbers(train.images)
    seen_once = np.unique(np.stack([numbers, train.labels])[:, numbers >= 0], axis=1)[0]
    in_several = int((np.bincount(seen_once) > 1).sum()) if seen_once.size else 0
    if in_several:
        noun = "picture is" if in_several == 1 else "pictures are"
        yield Finding(f"{name}: {in_several} training {noun} in more than one class, by content")
    yield from judge_left_out(name, len(train.images), train.left_out)


def judge_left_out(name: str, images: int, left_out: LeftOut) -> Iterator[Finding]:
    """Yield a doubt where more images lie in folders that are not read than are read.

    Args:
        name: of the set, for the line.
        images: that are read.
        left_out: what is not.
    """
    unread = sum(left_out.by_reason.get(reason, Few()).count for reason in (DEEPER, OUTSIDE))
    if unread > images:
        yield Finding(
            f"{name}: {images} images are read and {unread} that lie deeper or outside of class folders are not: "
            "does it hold several sets, or has it another layout?"
        )


_OWN_AS_JUNK = "as junk, or out of the database, it would be right"


def _doubts(retrieval_set: RetrievalSet, counts: _Counts, chance: float) -> Iterator[Finding]:
    name, total = retrieval_set.name, len(retrieval_set.queries)
    answered = int(counts.answered.sum())
    if answered < total / 2:
        yield Finding(
            f"{name}: {total - answered} of {total} queries have no answer in the database; "
            f"{_role_of_unanswered(retrieval_set)}"
        )
    if answered < FEW_QUERIES:
        noun = "query has" if answered == 1 else "queries have"
        yield Finding(f"{name}: only {answered} {noun} an answer: one alone moves the score by {1 / answered:.0%}")
    if chance >= HIGH_CHANCE:
        yield Finding(
            f"{name}: a random order of the database scores {chance:.0%}: {_why_all_answer(retrieval_set, counts)}"
        )
    if own_right := int(np.count_nonzero(counts.own_right_Q)):
        yield Finding(
            f"{name}: {own_right} of {total} queries have their own picture among their right answers; {_OWN_AS_JUNK}"
        )
    if own_wrong := int(np.count_nonzero(counts.own_wrong_Q)):
        yield Finding(
            f"{name}: {own_wrong} of {total} queries have their own picture among their wrong answers: "
            "one picture with two labels, or a query's image that is neither an answer nor junk"
        )
    yield from _empty_levels(retrieval_set)
    yield from judge_left_out(name, len(retrieval_set.images), retrieval_set.left_out)
    if retrieval_set.coordinates is not None and all(map(_look_like_degrees, retrieval_set.coordinates)):
        yield Finding(f"{name}: {_DEGREES}")


def _count(retrieval_set: RetrievalSet, contents: ImageContents) -> _Counts:
    relevant_Q, ranked_Q = count_ranked(retrieval_set)
    own_right_Q, own_wrong_Q = (np.zeros(len(relevant_Q), dtype=np.int64) for _ in range(2))
    for row, own in _own_pictures(retrieval_set, contents):
        query = retrieval_set.queries[row]
        right = np.isin(own, query.positives)
        own_right_Q[row] = np.count_nonzero(right)
        own_wrong_Q[row] = np.count_nonzero(~right & ~np.isin(own, query.junk))
    return _Counts(relevant_Q, ranked_Q, own_right_Q, own_wrong_Q)


def _own_pictures(retrieval_set: RetrievalSet, contents: ImageContents) -> Iterator[tuple[int, Indices]]:
    """Yield the row of each query whose picture is in the database, and the images there that are the same."""
    numbers_N = contents.numbers(retrieval_set.images)
    order = np.argsort(numbers_N, kind="stable")
    sorted_N = numbers_N[order]
    asked_Q = contents.numbers(query.path for query in retrieval_set.queries)
    starts_Q, ends_Q = (np.searchsorted(sorted_N, asked_Q, side=side) for side in ("left", "right"))
    for row in np.flatnonzero((asked_Q >= 0) & (starts_Q < ends_Q)).tolist():
        if retrieval_set.queries[row].box is None:
            yield row, order[starts_Q[row] : ends_Q[row]]


def _role_of_unanswered(retrieval_set: RetrievalSet) -> str:
    match retrieval_set.protocol:
        case "market":
            return "each counts as 0 in the mAP"
        case "places":
            return "each counts as a miss"
        case _:
            return "they are left out of the mAP"


def _empty_levels(retrieval_set: RetrievalSet) -> Iterator[Finding]:
    if retrieval_set.protocol != "revisited":
        return
    hard = sum(query.hard.size for query in retrieval_set.queries)
    easy = sum(query.positives.size for query in retrieval_set.queries) - hard
    for level, count in (("Easy", easy), ("Hard", hard)):
        if not count:
            yield Finding(f"{retrieval_set.name}: no query has an answer of the {level} protocol, which scores nothing")


# Why no query has an answer, or every image is one ------------------------------------------------------------------

_DEGREES = "coordinates look like degrees; metres (UTM) are right"


def _why_unanswered(retrieval_set: RetrievalSet) -> str:
    if retrieval_set.cameras is not None:
        return _why_no_other_camera(retrieval_set, *retrieval_set.cameras)
    if retrieval_set.coordinates is not None:
        return _why_nothing_is_near(*retrieval_set.coordinates)
    if any(query.junk.size for query in retrieval_set.queries):
        return "all that its ground truth lists is junk"
    return "its ground truth lists none"


def _why_no_other_camera(retrieval_set: RetrievalSet, database_N: Indices, query_Q: Indices) -> str:
    seen = np.unique(np.concatenate([database_N, query_Q]))
    if seen.size == 1:
        return (
            f"all images carry camera {int(seen[0]) + 1}, and images of a query's own camera are taken out of its "
            "ranking (are the cameras really in the names?)"
        )
    if any(query.junk.size for query in retrieval_set.queries):
        return "every image of a query's identity is of the query's own camera, which is taken out of its ranking"
    return "no query shows an identity of the database"


def _why_nothing_is_near(database_N2: NDArray[np.float64], query_Q2: NDArray[np.float64]) -> str:
    in_degrees = [_look_like_degrees(each) for each in (database_N2, query_Q2)]
    if any(in_degrees) and not all(in_degrees):
        which = "database" if in_degrees[0] else "queries"
        return f"the coordinates of the {which} look like degrees, the others like metres; metres (UTM) are right"
    if any(near.size for near in positives_within(database_N2, query_Q2[:, ::-1])):
        return "east and north look swapped in its queries"
    gap = np.sqrt(((database_N2.mean(axis=0) - query_Q2.mean(axis=0)) ** 2).sum())
    return (
        f"no database image is within 25 m of a query; the middle of one is {gap:,.0f} m from that of the other "
        "(another zone, or another unit?)"
    )


def _why_all_answer(retrieval_set: RetrievalSet, counts: _Counts) -> str:
    if retrieval_set.coordinates is not None:
        both = np.concatenate(retrieval_set.coordinates)
        if not np.ptp(both, axis=0).any():
            return "all images carry the same coordinates"
        if _look_like_degrees(both):
            return _DEGREES
    relevant_Q, ranked_Q = counts.relevant_Q[counts.answered], counts.ranked_Q[counts.answered]
    share = float((relevant_Q / ranked_Q).mean())
    return f"{share:.0%} of the images that are ranked for a query are right answers"


def _look_like_degrees(metres_N2: NDArray[np.float64]) -> bool:
    """Return whether coordinates can be longitudes and latitudes, in either order, and are no whole numbers."""
    highest = np.sort(np.abs(metres_N2).max(axis=0, initial=0.0))
    return bool(highest[0] <= 90 and highest[1] <= 180 and (metres_N2 % 1).any())

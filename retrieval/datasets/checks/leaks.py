"""Images and identities that two data sets of a sweep share, compared by content and not by how paths are spelt.

A score on images that were trained on, or that the search selected by, says nothing about new ones.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from retrieval.datasets.base import Indices, RetrievalSet, TrainingSet
from retrieval.datasets.checks.finding import Finding
from retrieval.datasets.checks.image_contents import ImageContents
from retrieval.text import name_few

REFUSED_SHARE = 0.5
"""From this share of its queries on, the score of a set is one of what was seen before; below it, a warning will do."""


def find_training_leaks(train: TrainingSet, ranked: RetrievalSet, contents: ImageContents) -> list[Finding]:
    """Return what the training images share with the queries and answers of a set.

    Images of the database that answer no query are not compared: distractors may be in both.

    Args:
        train: images that are trained on.
        ranked: queries and database that score the network.
        contents: of the images of both.
    """
    seen = contents.numbers(train.images)
    return [
        *_shared_images(ranked, seen, contents, "the training images", "was trained on"),
        *_shared_identities(train, ranked),
    ]


def find_selection_leaks(select_on: RetrievalSet, report_on: RetrievalSet, contents: ImageContents) -> list[Finding]:
    """Return what the set that the search selects by shares with the one that its front is reported on.

    Args:
        select_on: the validation set.
        report_on: the test set.
        contents: of the images of both.
    """
    seen = contents.numbers(_that_matter(select_on))
    return list(_shared_images(report_on, seen, contents, f"select_on ({select_on.name})", "was searched for"))


def _shared_images(
    ranked: RetrievalSet, seen: Indices, contents: ImageContents, where: str, what: str
) -> Iterator[Finding]:
    queries = [query.path for query in ranked.queries]
    asked_before = _seen_before(queries, seen, contents)
    if asked_before:
        yield Finding(
            f"{ranked.name}: {len(asked_before)} of its {len(queries)} query images are in {where}, by content: "
            f"{name_few([path.name for path in asked_before], 3)}; its score is one that {what}",
            is_error=len(asked_before) >= REFUSED_SHARE * len(queries),
        )
        return
    answers = _answers(ranked)
    answered_before = _seen_before(answers, seen, contents)
    if answered_before:
        yield Finding(
            f"{ranked.name}: {len(answered_before)} of its {len(answers)} right answers are in {where}, by content: "
            f"{name_few([path.name for path in answered_before], 3)}"
        )


def _shared_identities(train: TrainingSet, ranked: RetrievalSet) -> Iterator[Finding]:
    if ranked.identities is None or train.identities is None or ranked.identities.kept_in != train.identities.kept_in:
        return
    shared = sorted(ranked.identities.names & train.identities.names)
    if shared:
        count = len(ranked.identities.names)
        yield Finding(
            f"{ranked.name}: {len(shared)} of its {count} identities are trained on: {name_few(shared)}; "
            "its score says nothing about new ones",
            # People are to be found again who were never seen in training: the protocol of all re-identification.
            is_error=ranked.protocol == "market" and len(shared) >= REFUSED_SHARE * count,
        )


def _that_matter(ranked: RetrievalSet) -> list[Path]:
    return [*(query.path for query in ranked.queries), *_answers(ranked)]


def _answers(ranked: RetrievalSet) -> list[Path]:
    answers = np.unique(np.concatenate([query.positives for query in ranked.queries]))
    return [ranked.images[index] for index in answers.tolist()]


def _seen_before(paths: Sequence[Path], seen: Indices, contents: ImageContents) -> list[Path]:
    numbers = contents.numbers(paths)
    before = (numbers >= 0) & np.isin(numbers, seen)
    return [path for path, is_seen in zip(paths, before, strict=True) if is_seen]

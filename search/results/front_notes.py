"""Notes on a front that tells less than it seems to: its dense network has learned nothing, or all trials are equal."""

from collections.abc import Iterator, Mapping

from tracking.front import Front
from tracking.record import METRICS

PERFECT = 0.9995
"""Shown as 100.0 %."""


def front_notes(front: Front, chance: Mapping[str, float]) -> Iterator[str]:
    """Yield a line for each reason to doubt what a front says about networks.

    Args:
        front: of a finished sweep.
        chance: what a random order of the validation images scores, see `retrieval.evaluation.chance.chance_scores`.
    """
    quality = METRICS[front.quality]
    dense = front.dense.get(front.quality)
    if dense is not None and front.quality in chance and dense <= chance[front.quality]:
        yield (
            f"the dense network's {quality.label} of {quality.show(dense)} is no better than that of a random order, "
            f"{quality.show(chance[front.quality])}: it has learned nothing that pruning could lose"
        )
    if dense is not None and dense >= PERFECT:
        yield (
            f"the dense network's {quality.label} is {quality.show(dense)}: "
            "queries that are this easy cannot show what pruning costs"
        )
    scores = {round(point.metrics[front.quality], 9) for point in front.points if front.quality in point.metrics}
    if len(front.points) > 1 and len(scores) == 1:
        yield (
            f"all {len(front.points)} trials have the same {quality.label}, {quality.show(scores.pop())}: "
            "these queries do not tell networks apart"
        )

"""A global ranking of filters: one share of the whole network becomes a ratio a group.

Letters: O filters of a group.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

import torch
from torch import nn

from pruning.criteria import local_scores
from pruning.graph.groups import PrunableGroup, filters_of
from pruning.widths import kept_count

CAP = 0.95
"""Share of a group that a global ranking takes at most (BAFD: 0.9 to 0.95)."""

# Group id → how much its filters are worth, higher = keep, comparable across groups.
Ranking = Mapping[str, tuple[float, ...]]

_BLOCK = re.compile(r"(?:.*?\.)?\d+(?=\.|$)")  # up to the first part of a name that is a number


def ranking_of(network: nn.Module, groups: Sequence[PrunableGroup], neighbours: int = 1) -> Ranking:
    """Score the filters of all groups so that they can be ranked together.

    The local scores of each group are divided by their Euclidean norm. Groups that 1×1 convolutions alone write
    are left out, and so are locked ones.

    Source: Wang et al., BAFD (IEEE T-Cybernetics 2021), block-wise rates.
    Differs from the paper: it is groups that are ranked, with their concatenated filters.
    """
    ranking = {}
    for group in groups:
        if not group.locked and not _is_pointwise(network, group):
            scores_O = local_scores(filters_of(network, group), neighbours)
            ranking[group.id] = tuple((scores_O / scores_O.norm().clamp(min=1e-30)).tolist())
    return ranking


def ranked_ratios(
    groups: Sequence[PrunableGroup], ranking: Ranking, share: float, *, cap: float = CAP
) -> dict[str, float]:
    """Take the `share` of all ranked filters that is worth least, then give every block the mean of its groups.

    No group loses more than `cap` of its filters; what it would have lost beyond that is taken from groups that are
    below the cap. So with a `share` above `cap` every ranked group loses `cap`. A block is what a group's name says up
    to its first number (`layer3.1`); groups that were not ranked get their block's mean, 0 where nothing of the block
    was ranked. A group that spans blocks, as a shortcut's does, counts for the block of its first layer.

    Source: Wang et al., BAFD (IEEE T-Cybernetics 2021).
    Differs from the paper: that capped groups pass on what they keep is our reading, and what a block is follows from
    names.

    Raises:
        ValueError: `share` is outside [0, 1), `cap` outside (0, 1), or the ranking is of another network.
    """
    if not 0 <= share < 1 or not 0 < cap < 1:
        raise ValueError(f"share must be in [0, 1) and cap in (0, 1), got {share} and {cap}")
    widths = {group.id: group.width for group in groups}
    if strangers := sorted(name for name, scores in ranking.items() if widths.get(name) != len(scores)):
        raise ValueError(f"the ranking is of another network: groups {strangers} differ")
    taken = _take_lowest(ranking, share, cap)
    by_block = defaultdict(list)
    for name in ranking:
        by_block[block_of(name)].append(taken[name] / widths[name])
    means = {block: fmean(ratios) for block, ratios in by_block.items()}
    return {group.id: means.get(block_of(group.id), 0.0) for group in groups if not group.locked}


def block_of(group_id: str) -> str:
    """Return the name of a group's block: its own name up to the first number, or all of it where it has none."""
    block = _BLOCK.match(group_id)
    return block.group() if block else group_id


def _take_lowest(ranking: Ranking, share: float, cap: float) -> dict[str, int]:
    """Return how many filters of each group go; equal scores go in the order of the groups and their filters."""
    everything = [(score, name) for name, scores in ranking.items() for score in scores]
    order = torch.tensor([score for score, _ in everything], dtype=torch.float64).argsort(stable=True)
    wanted = len(everything) - kept_count(len(everything), share, round_to=1)
    taken = dict.fromkeys(ranking, 0)
    room = {name: len(scores) - kept_count(len(scores), cap, round_to=1) for name, scores in ranking.items()}
    for index in order.tolist():
        name = everything[index][1]
        if wanted and taken[name] < room[name]:
            taken[name] += 1
            wanted -= 1
    return taken


def _is_pointwise(network: nn.Module, group: PrunableGroup) -> bool:
    weights = [network.get_submodule(member).get_parameter("weight") for member in group.members]
    return all(weight.dim() == 4 and weight.shape[2:].numel() == 1 for weight in weights)

"""What a cut network must equal: the whole one with its removed channels set to zero."""

from copy import deepcopy

from torch import nn

from pruning.decay import decay_channels_
from pruning.graph.groups import PrunableGroup
from pruning.surgery import Plan


def masked(network: nn.Module, groups: list[PrunableGroup], plan: Plan) -> nn.Module:
    copy = deepcopy(network)
    for group in groups:
        if group.id in plan:
            decay_channels_(copy, group, group.all_but(plan[group.id]), 0.0)
    return copy

"""The shape of the network that a trial will deliver: known from its schedule, before channels and weights are."""

import copy
from collections.abc import Sequence
from functools import lru_cache

from torch import nn

from pruning.graph.groups import PrunableGroup
from pruning.predicted_cost import CostModel, kept_widths
from pruning.schedule import Schedule
from pruning.surgery import Plan
from retrieval.networks.whitening import Whitening
from trainables.baseline import Baseline, descriptor_size
from trainables.delivery import drop_training_head_, prefix_of, with_blank_delivery
from trainables.settings import TrialSettings, example_image, tracing_image


@lru_cache(maxsize=1)
def cost_model(baseline: Baseline, groups: tuple[PrunableGroup, ...]) -> CostModel:
    """Return the model that counts the costs of the delivered network for any schedule.

    It is made once a process, because it cuts a network to check itself.
    """
    return _counted(baseline.network(), baseline.delivered(), groups, baseline.settings)


def untrained_cost_model(network: nn.Module, groups: Sequence[PrunableGroup], settings: TrialSettings) -> CostModel:
    """Return what `cost_model` will return once a network of this shape is trained: costs follow from shapes alone.

    Args:
        network: the dense network, trained or not.
        groups: of it.
        settings: of the trials.
    """
    size = descriptor_size(network, settings.data.image_size)
    blank = with_blank_delivery(drop_training_head_(copy.deepcopy(network)), settings.descriptor, size)
    return _counted(network, blank.eval(), groups, settings)


def _counted(
    network: nn.Module, delivered: nn.Module, groups: Sequence[PrunableGroup], settings: TrialSettings
) -> CostModel:
    return CostModel.of(
        network,
        groups,
        example_image(settings.data.image_size),
        delivered=delivered,
        prefix=prefix_of(settings.descriptor),
        probe_NCHW=tracing_image(settings.data.image_size),
    )


def first_channels(groups: Sequence[PrunableGroup], schedule: Schedule) -> Plan:
    """Return a plan that has the widths of the schedule and keeps the first channels of each group."""
    widths = kept_widths(groups, schedule)
    return {group.id: tuple(range(widths[group.id])) for group in groups if not group.locked}


def narrowed(whitening: Whitening, descriptor_size: int) -> Whitening:
    """Return a whitening of the shape that one fitted to shorter descriptors has.

    Its numbers are taken from the given one: with zeros, a runtime would optimise the subtraction away.
    """
    projection_KD = whitening.projection_KD[:descriptor_size, :descriptor_size]
    return Whitening(whitening.mean_D[:descriptor_size].clone(), projection_KD.clone())

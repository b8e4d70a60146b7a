"""The shape of the network that a trial will deliver: known from its schedule, before channels and weights are."""

from collections.abc import Sequence
from functools import lru_cache

from pruning.graph.groups import PrunableGroup
from pruning.predicted_cost import CostModel, kept_widths
from pruning.schedule import Schedule
from pruning.surgery import Plan
from retrieval.networks.whitening import Whitening
from trainables.baseline import Baseline
from trainables.delivery import prefix_of
from trainables.settings import example_image, tracing_image


@lru_cache(maxsize=1)
def cost_model(baseline: Baseline, groups: tuple[PrunableGroup, ...]) -> CostModel:
    """Return the model that counts the costs of the delivered network for any schedule.

    It is made once a process, because it cuts a network to check itself.
    """
    settings = baseline.settings
    return CostModel.of(
        baseline.network(),
        groups,
        example_image(settings.data.image_size),
        delivered=baseline.delivered(),
        prefix=prefix_of(settings.descriptor),
        probe_NCHW=tracing_image(settings.data.image_size),
    )


def first_channels(groups: Sequence[PrunableGroup], schedule: Schedule) -> Plan:
    """Return a plan that has the widths of the schedule and keeps the first channels of each group."""
    widths = kept_widths(groups, schedule)
    return {group.id: tuple(range(widths[group.id])) for group in groups if not group.locked}


def narrowed(whitening: Whitening, descriptor_size: int) -> Whitening:
    """Return a whitening of the shape that one fitted to shorter descriptors has.

    Its numbers are taken from the given one: with zeros instead, a runtime would leave the subtraction out.
    """
    projection_KD = whitening.projection_KD[:descriptor_size, :descriptor_size]
    return Whitening(whitening.mean_D[:descriptor_size].clone(), projection_KD.clone())

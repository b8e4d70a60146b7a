"""The shape of what a trial will deliver: known from its schedule, before its channels and weights are."""

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
    """What any schedule makes the delivered network cost, as far as that is counted.

    Made once a process: it cuts a network to check itself.
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
    """A plan of the widths that the schedule comes to: of each group the first channels stay."""
    widths = kept_widths(groups, schedule)
    return {group.id: tuple(range(widths[group.id])) for group in groups if not group.locked}


def narrowed(whitening: Whitening, descriptor_size: int) -> Whitening:
    """A whitening of the shape that one fitted to shorter descriptors has.

    Its numbers are some of the given one's: runtimes leave out a subtraction of zeros.
    """
    projection_KD = whitening.projection_KD[:descriptor_size, :descriptor_size]
    return Whitening(whitening.mean_D[:descriptor_size].clone(), projection_KD.clone())

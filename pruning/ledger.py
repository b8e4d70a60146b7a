"""A ledger of asked and achieved widths, group by group, so that no rounding or locking goes unseen."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict
from torch import nn

from pruning.graph.groups import PrunableGroup, in_features, out_channels_first
from pruning.schedule import Schedule
from pruning.widths import kept_count


class LedgerRow(BaseModel):
    """One group: its dense width, the share that was to go, the width that means, and the width it has now.

    Attributes:
        asked_ratio: share of the channels that the schedule removes, [0, 1); 0 when it does not name the group.
        aligned_width: the width that the ratio comes to, rounded to the schedule's multiple.
        achieved_width: the out channels that the group's layers have; `width` for a locked group, whatever was
            asked.
        macs_saved: the group's part of the multiply-adds that the cut network does without; the parts of all groups
            sum to the whole, but for rounding.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str
    width: int
    asked_ratio: float
    aligned_width: int
    achieved_width: int
    macs_saved: int = 0  # records from before it was counted have none


def ledger(
    groups: Sequence[PrunableGroup], schedule: Schedule, network: nn.Module, dense_macs: Mapping[str, int]
) -> list[LedgerRow]:
    """Compare what the schedule asks of each group of the dense network with what the cut `network` has.

    Args:
        groups: of the dense network.
        schedule: of the trial.
        network: the cut one.
        dense_macs: multiply-adds of the dense network's layers (`pruning.cost.macs_by_layer`); {} when nobody wants
            to know what each group saved.
    """
    saved = _macs_saved(groups, network, dense_macs)
    return [_row(group, schedule, network, saved[group.id]) for group in groups]


def _row(group: PrunableGroup, schedule: Schedule, network: nn.Module, macs_saved: float) -> LedgerRow:
    ratio = schedule.ratios.get(group.id, 0.0)
    return LedgerRow(
        group=group.id,
        width=group.width,
        asked_ratio=ratio,
        aligned_width=kept_count(group.width, ratio, schedule.round_to),
        achieved_width=_achieved_width(group, network),
        macs_saved=round(macs_saved),
    )


def _macs_saved(groups: Sequence[PrunableGroup], network: nn.Module, dense_macs: Mapping[str, int]) -> dict[str, float]:
    """Return group id → multiply-adds saved.

    A layer that kept the share a of its out channels and b of its inputs does a·b of its multiply-adds. How
    much of the saving is due to either side depends on which was cut first; each gets the mean over both
    orders (its Shapley value): (1 − a)(1 + b)/2 for the group that the layer writes, (1 − b)(1 + a)/2 for
    those that it reads, shared in proportion to the inputs that each took away.
    """
    removed = {group.id: group.width - _achieved_width(group, network) for group in groups}
    writers = {member: group for group in groups for member in group.members}
    saved = dict.fromkeys(removed, 0.0)
    for layer, macs in dense_macs.items():
        inputs_lost = _inputs_lost(layer, groups, removed)
        lost = sum(inputs_lost.values())
        inputs_kept = 1 - lost / (in_features(network.get_submodule(layer)) + lost)
        writer = writers.get(layer)
        kept = 1 - removed[writer.id] / writer.width if writer else 1.0
        if writer:
            saved[writer.id] += macs * (1 - kept) * (1 + inputs_kept) / 2
        for group_id, inputs in inputs_lost.items():
            saved[group_id] += macs * (1 - inputs_kept) * (1 + kept) / 2 * inputs / lost
    return saved


def _inputs_lost(layer: str, groups: Sequence[PrunableGroup], removed: Mapping[str, int]) -> dict[str, int]:
    """Return group id → how many of the layer's inputs went with its channels; groups that took none are left out."""
    spans = {group.id: dict(zip(group.readers, group.reader_spans, strict=True)).get(layer, 0) for group in groups}
    return {group_id: removed[group_id] * span for group_id, span in spans.items() if removed[group_id] * span}


def _achieved_width(group: PrunableGroup, network: nn.Module) -> int:
    return len(out_channels_first(network.get_submodule(group.id)))

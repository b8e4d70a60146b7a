"""Asked against achieved, group by group, so that no width is rounded or left alone without a trace."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict
from torch import nn

from pruning.groups import PrunableGroup, kept_count, out_channels_first
from pruning.schedule import Schedule


class LedgerRow(BaseModel):
    """One group: its dense width, the share that was to go, the width that means, and the width it has now.

    asked_ratio: share of the channels that the schedule removes, [0, 1); 0 when it does not name the group.
    aligned_width: the width that the ratio comes to, rounded to the schedule's multiple.
    achieved_width: the out channels that the group's layers have; `width` for a locked group, whatever was
        asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str
    width: int
    asked_ratio: float
    aligned_width: int
    achieved_width: int


def ledger(groups: Sequence[PrunableGroup], schedule: Schedule, network: nn.Module) -> list[LedgerRow]:
    """Compare what the schedule asks of each group of the dense network with what the cut `network` has."""
    return [_row(group, schedule, network) for group in groups]


def _row(group: PrunableGroup, schedule: Schedule, network: nn.Module) -> LedgerRow:
    ratio = schedule.ratios.get(group.id, 0.0)
    return LedgerRow(
        group=group.id,
        width=group.width,
        asked_ratio=ratio,
        aligned_width=kept_count(group.width, ratio, schedule.round_to),
        achieved_width=len(out_channels_first(network.get_submodule(group.id))),
    )

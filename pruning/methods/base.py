"""What every pruning method answers: which channels go, and what happens to them while the network trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from pruning.decay import decay_channels_, default_decay
from pruning.graph.groups import PrunableGroup, filters_of
from pruning.names import nearest_name
from pruning.surgery import Plan
from pruning.widths import can_narrow, kept_count

if TYPE_CHECKING:  # schedule.py asks the registry for the methods' names, so it cannot be imported from here
    from pruning.schedule import Schedule


class Method(ABC):
    """A pruning method. It holds no state: all that a trial needs is in the network and the schedule.

    A trial calls `choose` and then `soften_` after every epoch but the last; after the last it calls `choose`
    alone and cuts the network to that plan. A method that cuts first is asked once, before the first epoch,
    and the small network is trained.
    """

    name: ClassVar[str]
    cuts_first: ClassVar[bool]  # the plan is chosen from the dense weights and cut before the first epoch
    uses_decay: ClassVar[bool] = False  # whether the schedule must name a decay
    softens_filters_only: ClassVar[bool] = False  # whether BatchNorm is left as it is when channels are softened
    new_weights: ClassVar[bool] = False  # whether the cut network is trained from a random start
    removes_channels: ClassVar[bool] = True  # whether it can have ratios above 0

    @abstractmethod
    def removal_order(self, filters_OD: Tensor, count: int, schedule: Schedule) -> Tensor:
        """Indices of the `count` filters to remove, first removed first; int64 of shape K."""

    def soften_factor(self, schedule: Schedule, ratio: float) -> float:
        """What channels about to go are multiplied by after each epoch: 1 leaves them, 0 masks them.

        `ratio` is that of their group: the papers' decay follows from it where the schedule names none.
        """
        if self.cuts_first:
            return 1.0
        if not self.uses_decay:
            return 0.0
        return default_decay(ratio) if schedule.decay is None else schedule.decay

    def choose(self, network: nn.Module, groups: Sequence[PrunableGroup], schedule: Schedule) -> Plan:
        """Kept channels of every group that `schedule.ratios` names, from the weights as they are now.

        Locked groups, and groups without a ratio, keep all their channels and are not in the plan; the ledger
        shows them. Raises ValueError when a ratio names no group of this network, or one that is too narrow to
        lose a channel, and when the weights are not finite.
        """
        known = {group.id for group in groups}
        for named in schedule.ratios:
            if named not in known:
                raise ValueError(f"no group {named!r} in this network; nearest: {nearest_name(named, known)!r}")
        open_groups = [group for group in groups if group.id in schedule.ratios and not group.locked]
        return {group.id: self._kept(network, group, schedule) for group in open_groups}

    def soften_(self, network: nn.Module, groups: Sequence[PrunableGroup], plan: Plan, schedule: Schedule) -> None:
        """Scale the channels that `plan` does not keep, in place: the step between two epochs."""
        for group in groups:
            if group.id in plan:
                factor = self.soften_factor(schedule, schedule.ratios[group.id])
                removed = group.all_but(plan[group.id])
                decay_channels_(network, group, removed, factor, filters_only=self.softens_filters_only)

    def _kept(self, network: nn.Module, group: PrunableGroup, schedule: Schedule) -> tuple[int, ...]:
        ratio, round_to = schedule.ratios[group.id], schedule.round_to
        if ratio > 0 and not can_narrow(group.width, round_to):
            raise ValueError(
                f"group {group.id!r} is too narrow for ratio {ratio}: of its {group.width} channels none can go at "
                f"round_to {round_to}; ratio 0 would be right, or a smaller round_to"
            )
        count = group.width - kept_count(group.width, ratio, round_to)
        removed_K = self.removal_order(filters_of(network, group), count, schedule)
        return group.all_but(removed_K.tolist())


def lowest(scores_O: Tensor, count: int) -> Tensor:
    """Indices of the `count` lowest scores, lowest first; equal scores in order of their index."""
    return torch.argsort(scores_O, stable=True)[:count]

"""The interface of all pruning methods: which channels go, and what happens to them while the network trains."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from pruning.decay import decay_channels_, default_decay
from pruning.graph.groups import PrunableGroup, filters_of
from pruning.methods.hyperparameters import Hyperparameter, SearchRange, declared
from pruning.names import nearest_name
from pruning.surgery import Plan
from pruning.widths import can_narrow, kept_count


class Method(BaseModel, ABC):
    """A pruning method with its hyperparameters, which are its only fields; all other state is in the network.

    A trial calls `choose` and then `soften_` after every epoch but the last; after the last it calls `choose`
    alone and cuts the network to that plan. A method that cuts first is asked once, before the first epoch,
    and the small network is trained.

    Attributes:
        name: in sweep files and records.
        cuts_first: whether the plan is chosen from the dense weights and cut before the first epoch.
        softens_filters_only: whether BatchNorm is left as it is when channels are softened.
        new_weights: whether the cut network is trained from a random start.
        removes_channels: whether it can have ratios above 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    cuts_first: ClassVar[bool]
    softens_filters_only: ClassVar[bool] = False
    new_weights: ClassVar[bool] = False
    removes_channels: ClassVar[bool] = True

    @classmethod
    @cache
    def hyperparameters(cls) -> Mapping[str, Hyperparameter]:
        """Return the declared hyperparameters by name, in the order in which a space asks for them."""
        return {name: declared(name, field) for name, field in cls.model_fields.items()}

    @abstractmethod
    def removal_order(self, filters_OD: Tensor, count: int) -> Tensor:
        """Return the indices of the filters to remove, first removed first.

        Args:
            filters_OD: one row a channel.
            count: how many to remove.

        Returns:
            int64 of shape K, where K is `count`.
        """

    def soften_factor(self, ratio: float) -> float:
        """Return what channels about to go are multiplied by after each epoch: 1 leaves them, 0 masks them.

        Args:
            ratio: of their group, in [0, 1).
        """
        return 1.0 if self.cuts_first else 0.0

    def choose(
        self, network: nn.Module, groups: Sequence[PrunableGroup], ratios: Mapping[str, float], round_to: int = 8
    ) -> Plan:
        """Choose the kept channels of every group that `ratios` names, from the weights as they are now.

        Locked groups, and groups without a ratio, keep all their channels and are not in the plan; the ledger
        shows them.

        Args:
            network: the dense one, as trained so far; it is not changed.
            groups: of the network.
            ratios: group id → share of its channels to remove, in [0, 1).
            round_to: kept widths are rounded to multiples of this.

        Raises:
            ValueError: a ratio names no group of this network, or one that is too narrow to lose a channel; or the
                weights are not finite.
        """
        known = {group.id for group in groups}
        for named in ratios:
            if named not in known:
                raise ValueError(f"no group {named!r} in this network; nearest: {nearest_name(named, known)!r}")
        open_groups = [group for group in groups if group.id in ratios and not group.locked]
        return {group.id: self._kept(network, group, ratios[group.id], round_to) for group in open_groups}

    def soften_(
        self, network: nn.Module, groups: Sequence[PrunableGroup], plan: Plan, ratios: Mapping[str, float]
    ) -> None:
        """Scale the channels that `plan` does not keep, in place: the step between two epochs.

        Args:
            network: the dense one; it is changed.
            groups: of the network.
            plan: what `choose` returned.
            ratios: what `choose` was given.
        """
        for group in groups:
            if group.id in plan:
                factor = self.soften_factor(ratios[group.id])
                removed = group.all_but(plan[group.id])
                decay_channels_(network, group, removed, factor, filters_only=self.softens_filters_only)

    def _kept(self, network: nn.Module, group: PrunableGroup, ratio: float, round_to: int) -> tuple[int, ...]:
        if ratio > 0 and not can_narrow(group.width, round_to):
            raise ValueError(
                f"group {group.id!r} is too narrow for ratio {ratio}: of its {group.width} channels none can go at "
                f"round_to {round_to}; ratio 0 would be right, or a smaller round_to"
            )
        count = group.width - kept_count(group.width, ratio, round_to)
        removed_K = self.removal_order(filters_of(network, group), count)
        return group.all_but(removed_K.tolist())


class DecayingMethod(Method):
    """A method that shrinks channels about to go, BatchNorm too, until it cuts them at the end.

    Attributes:
        decay: what those channels are multiplied by after each epoch, in [0, 1); None for the papers', which follows
            from each group's ratio (`pruning.decay.default_decay`).
    """

    cuts_first: ClassVar[bool] = False

    decay: Annotated[
        float | None,
        Field(ge=0, lt=1),
        SearchRange(
            low=0.01,
            high=0.3,
            acts_on="channels about to go: what they are multiplied by after each epoch",
            digits=2,
            default_at=default_decay,
            always_written=True,
        ),
    ] = None

    def soften_factor(self, ratio: float) -> float:
        """Return the decay; the papers' where none is named.

        Args:
            ratio: of their group, in [0, 1).
        """
        return default_decay(ratio) if self.decay is None else self.decay


def lowest(scores_O: Tensor, count: int) -> Tensor:
    """Return the indices of the `count` lowest scores, lowest first; equal scores in order of their index."""
    return torch.argsort(scores_O, stable=True)[:count]

"""Early stop of progressive methods, once they choose the same channels and these no longer change."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from pruning.graph.groups import PrunableGroup, filters_of
from pruning.surgery import Plan

_UNCHANGED = 1e-2  # a change of the norm up to this share of the largest norm seen counts as none


class Convergence:
    """A count of the epochs for which the chosen channels and the norm of their weights have not changed.

    Source: the early stop of BAFD (IEEE T-Cybernetics 2021), 5 epochs there. Differs from the paper: which change of
    the norm counts as none is not stated; here it is, from one epoch to the next, 1 % of the largest norm seen,
    that of the first choice: shrunk filters are near zero, where any regrowth is large beside their norm.
    """

    def __init__(self, patience: int | None) -> None:
        self._patience = patience
        self._plan: Plan = {}
        self._norm = float("inf")
        self._largest = 0.0
        self._still = 0

    @property
    def reached(self) -> bool:
        """Whether nothing has changed for `patience` epochs; never when that is None."""
        return self._patience is not None and self._still >= self._patience

    def update(self, plan: Plan, norm: float) -> None:
        """Record one epoch's choice, and the norm of the weights that are to go."""
        self._largest = max(self._largest, norm)
        # A plan that removes nothing stands still from the start, and says nothing of the training.
        same = norm > 0 and dict(plan) == dict(self._plan) and abs(norm - self._norm) <= _UNCHANGED * self._largest
        self._still = self._still + 1 if same else 0
        self._plan, self._norm = plan, norm

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the plan, which the trial saves itself."""
        return {"norm": self._norm, "largest": self._largest, "still": self._still}

    def load_state_dict(self, state: dict[str, Any], plan: Plan) -> None:
        """Go on from a saved state."""
        self._plan = plan
        self._norm, self._largest, self._still = state["norm"], state["largest"], state["still"]


def norm_of_chosen(network: nn.Module, groups: Sequence[PrunableGroup], plan: Plan) -> float:
    """Return the Euclidean norm of all weights that write channels which the plan does not keep."""
    chosen = [filters_of(network, g)[list(g.all_but(plan[g.id]))].flatten() for g in groups if g.id in plan]
    return float(torch.cat(chosen).norm()) if chosen else 0.0

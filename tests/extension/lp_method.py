"""Lp: remove the filters with the smallest p-norm once, then train the small network."""

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from pruning.methods.base import Method, lowest
from pruning.methods.hyperparameters import SearchRange


class Lp(Method):
    """Prune the dense network by its filters' p-norms, then fine-tune.

    Attributes:
        power: p of the norm, above 0.
    """

    name: ClassVar[str] = "lp"
    cuts_first: ClassVar[bool] = True

    power: Annotated[float, Field(gt=0), SearchRange(low=1.0, high=4.0, acts_on="the criterion: p of its norm")] = 2.0

    def removal_order(self, filters_OD: Tensor, count: int) -> Tensor:
        """Return those of the smallest p-norm first."""
        return lowest(filters_OD.double().norm(p=self.power, dim=1), count)

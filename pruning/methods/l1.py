"""L1: remove the filters with the smallest absolute sum once, then train the small network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from pruning.criteria import l1_scores
from pruning.methods.base import Method, lowest

if TYPE_CHECKING:
    from pruning.schedule import Schedule


class L1(Method):
    """Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017: prune the dense network, fine-tune.

    Differs from the paper: a channel's filter is the concatenation of the filters of all layers that write it
    (the paper lets the shortcut's convolution decide alone), and kept widths are aligned.
    """

    name: ClassVar[str] = "l1"
    cuts_first: ClassVar[bool] = True

    def removal_order(self, filters_OD: Tensor, count: int, schedule: Schedule) -> Tensor:
        """Smallest Σ|W_i| first."""
        return lowest(l1_scores(filters_OD), count)

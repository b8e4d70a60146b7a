"""L1: remove the filters with the smallest absolute sum once, then train the small network."""

from typing import ClassVar

from torch import Tensor

from pruning.criteria import l1_scores
from pruning.methods.base import Method, lowest


class L1(Method):
    """Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017: prune the dense network, fine-tune.

    Differs from the paper: a channel's filter is the concatenation of the filters of all layers that write it
    (the paper lets the shortcut's convolution decide alone), and kept widths are aligned.
    """

    name: ClassVar[str] = "l1"
    cuts_first: ClassVar[bool] = True

    def removal_order(self, filters_OD: Tensor, count: int) -> Tensor:
        """Return those of the smallest Σ|W_i| first."""
        return lowest(l1_scores(filters_OD), count)

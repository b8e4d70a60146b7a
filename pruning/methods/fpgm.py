"""FPGM: after every epoch, zero the filters nearest to the layer's geometric median; cut them at the end."""

from typing import ClassVar

from torch import Tensor

from pruning.criteria import fpgm_scores
from pruning.methods.base import Method, lowest


class Fpgm(Method):
    """He et al., "Filter Pruning via Geometric Median", CVPR 2019: selected afresh and zeroed every epoch.

    As in SFP, BatchNorm is left as it is, so that a filter may return.

    Differs from the paper: a channel's filter is the concatenation of the filters of all layers that write it, and
    kept widths are aligned. As in PLFP (see there), the last epoch's selection, made before zeroing, is the one that
    is cut.
    """

    name: ClassVar[str] = "fpgm"
    cuts_first: ClassVar[bool] = False
    softens_filters_only: ClassVar[bool] = True

    def removal_order(self, filters_OD: Tensor, count: int) -> Tensor:
        """Return those of the smallest total distance to all other filters first."""
        return lowest(fpgm_scores(filters_OD), count)

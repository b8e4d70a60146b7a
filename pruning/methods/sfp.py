"""SFP: after every epoch, zero the filters of the smallest l2 norm; cut them at the end."""

from typing import ClassVar

from torch import Tensor

from pruning.criteria import l2_scores
from pruning.methods.base import Method, lowest


class Sfp(Method):
    """He et al., "Soft Filter Pruning for Accelerating Deep CNNs", IJCAI 2018, equation 2 and Algorithm 1.

    Selected afresh and zeroed after every epoch, without a mask on the gradient. BatchNorm is left as it is, so that
    a filter may return: a channel whose scale and shift were zeroed too would be dead behind its ReLU.

    Differs from the paper: a channel's filter is the concatenation of the filters of all layers that write it, and
    kept widths are aligned. As in PLFP (see there), the last epoch's selection, made before zeroing, is the one that
    is cut.
    """

    name: ClassVar[str] = "sfp"
    cuts_first: ClassVar[bool] = False
    softens_filters_only: ClassVar[bool] = True

    def removal_order(self, filters_OD: Tensor, count: int) -> Tensor:
        """Return those of the smallest ‖W_i‖₂ first."""
        return lowest(l2_scores(filters_OD), count)

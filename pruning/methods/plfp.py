"""PLFP: after every epoch, shrink the filters that their neighbours can replace; cut them at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from pruning.criteria import plfp_removal_order
from pruning.methods.base import Method

if TYPE_CHECKING:
    from pruning.schedule import Schedule


class Plfp(Method):
    """Wang et al., "Progressive Local Filter Pruning for Image Retrieval Acceleration", IEEE TMM 2023.

    Reconstructed: the full text was not at hand. Its abstract states two ideas, local redundancy and
    progressive shrinking; the same authors' next paper states both in full (Wang et al., "Soft Person
    Re-identification Network Pruning via Block-wise Adjacent Filter Decaying", BAFD, IEEE T-Cybernetics 2021,
    equations 4 to 8, Algorithms 1 and 2), and this follows it. After each epoch the filters are selected
    afresh by the local criterion, and their weights, and the scale and shift of their BatchNorm channels, are
    multiplied by the decay. With a decay of 0 a channel is dead behind its ReLU, and never returns.

    Differs from the paper:
    - The selection of the last epoch, made after its training and before any shrinking, is the one that is
      cut. The paper selects once more after shrinking; but just-shrunk filters lie together near the origin,
      so that each has the others as near neighbours, and one shrunk filter a layer would be kept in place of
      a live one.
    - A channel's filter is the concatenation of the filters of all layers that write it, because real removal
      takes the channel from all of them; the paper selects in each convolution alone and leaves shortcuts
      out.
    - Kept widths are aligned to multiples of `round_to`.
    """

    name: ClassVar[str] = "plfp"
    cuts_first: ClassVar[bool] = False
    uses_decay: ClassVar[bool] = True

    def removal_order(self, filters_OD: Tensor, count: int, schedule: Schedule) -> Tensor:
        """Most redundant among its neighbours first (see `plfp_removal_order`)."""
        return plfp_removal_order(filters_OD, count, schedule.neighbours)

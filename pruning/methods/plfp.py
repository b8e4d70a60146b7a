"""PLFP: after every epoch, shrink the filters that their neighbours can replace; cut them at the end."""

from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from pruning.criteria import plfp_removal_order
from pruning.methods.base import DecayingMethod
from pruning.methods.hyperparameters import SearchRange

Neighbours = Annotated[
    int,
    Field(ge=1),
    SearchRange(
        low=1,
        high=1,
        acts_on="the local criterion: how many neighbours a filter is compared with",
        always_written=True,
    ),
]


class Plfp(DecayingMethod):
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

    Attributes:
        decay: see `DecayingMethod`.
        neighbours: how many neighbours a filter is compared with, the paper's k; at least 1.
    """

    name: ClassVar[str] = "plfp"

    neighbours: Neighbours = 1

    def removal_order(self, filters_OD: Tensor, count: int) -> Tensor:
        """Return the most redundant among their neighbours first (see `plfp_removal_order`)."""
        return plfp_removal_order(filters_OD, count, self.neighbours)

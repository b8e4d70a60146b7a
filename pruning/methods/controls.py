"""Controls: methods that separate the ideas of the others, or that any method must beat."""

from typing import ClassVar

from torch import Tensor

from pruning.criteria import fpgm_scores, l1_scores, plfp_removal_order, random_removal_order
from pruning.methods.base import DecayingMethod, Method, lowest
from pruning.methods.l1 import L1
from pruning.methods.plfp import Neighbours


class Random(Method):
    """Random filters, cut once: the baseline that shows how much a method's choice of filters is worth.

    The draw follows from the filters, so that a trial is repeatable and every group is drawn for itself.
    """

    name: ClassVar[str] = "random"
    cuts_first: ClassVar[bool] = True

    def removal_order(self, filters_OD: Tensor, count: int) -> Tensor:
        """Return them in random order."""
        return random_removal_order(filters_OD, count)


class LargestFirst(Method):
    """The filters of the largest Σ|W_i| cut once: the reverse of L1, which must come out worst."""

    name: ClassVar[str] = "largest_first"
    cuts_first: ClassVar[bool] = True

    def removal_order(self, filters_OD: Tensor, count: int) -> Tensor:
        """Return those of the largest Σ|W_i| first."""
        return lowest(-l1_scores(filters_OD), count)


class FpgmDecay(DecayingMethod):
    """FPGM's choice with PLFP's decay, of BatchNorm too, in place of zeroing: the schedule without the criterion."""

    name: ClassVar[str] = "fpgm_decay"

    def removal_order(self, filters_OD: Tensor, count: int) -> Tensor:
        """Return those of the smallest total distance to all other filters first."""
        return lowest(fpgm_scores(filters_OD), count)


class LocalZeroing(Method):
    """PLFP's choice zeroed as in SFP and FPGM, filters alone: the criterion without the schedule.

    Attributes:
        neighbours: as in `Plfp`.
    """

    name: ClassVar[str] = "local_zeroing"
    cuts_first: ClassVar[bool] = False
    softens_filters_only: ClassVar[bool] = True

    neighbours: Neighbours = 1

    def removal_order(self, filters_OD: Tensor, count: int) -> Tensor:
        """Return the most redundant among their neighbours first (see `plfp_removal_order`)."""
        return plfp_removal_order(filters_OD, count, self.neighbours)


class Scratch(L1):
    """The pruned shape trained from new weights: it shows what the shape is worth without the trained weights.

    Liu et al., "Rethinking the Value of Network Pruning", ICLR 2019, section 3 (their "Scratch-E": the same
    number of epochs). Differs from the paper: the epochs are those of the fine-tuning it is compared with.
    """

    name: ClassVar[str] = "scratch"
    new_weights: ClassVar[bool] = True

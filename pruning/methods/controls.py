"""Controls: methods that separate the ideas of the others, or that any method must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from pruning.criteria import l1_scores, random_removal_order
from pruning.methods.base import Method, lowest
from pruning.methods.fpgm import Fpgm
from pruning.methods.l1 import L1
from pruning.methods.plfp import Plfp

if TYPE_CHECKING:
    from pruning.schedule import Schedule


class Random(Method):
    """Any filters, cut once: what the choice itself is worth is how far a method is above this.

    The draw follows from the filters, so that a trial is repeatable and every group is drawn for itself.
    """

    name: ClassVar[str] = "random"
    cuts_first: ClassVar[bool] = True

    def removal_order(self, filters_OD: Tensor, count: int, schedule: Schedule) -> Tensor:
        """In random order."""
        return random_removal_order(filters_OD, count)


class LargestFirst(Method):
    """The filters of the largest Σ|W_i| cut once: L1 the wrong way round, which must come out worst."""

    name: ClassVar[str] = "largest_first"
    cuts_first: ClassVar[bool] = True

    def removal_order(self, filters_OD: Tensor, count: int, schedule: Schedule) -> Tensor:
        """Largest Σ|W_i| first."""
        return lowest(-l1_scores(filters_OD), count)


class FpgmDecay(Fpgm):
    """FPGM's choice with PLFP's decay, of BatchNorm too, in place of zeroing: the schedule without the criterion."""

    name: ClassVar[str] = "fpgm_decay"
    uses_decay: ClassVar[bool] = True
    softens_filters_only: ClassVar[bool] = False


class LocalZeroing(Plfp):
    """PLFP's choice zeroed as in SFP and FPGM, filters alone: the criterion without the schedule."""

    name: ClassVar[str] = "local_zeroing"
    uses_decay: ClassVar[bool] = False
    softens_filters_only: ClassVar[bool] = True


class Scratch(L1):
    """The pruned shape trained from new weights: what the shape alone is worth, without what was learned before.

    Liu et al., "Rethinking the Value of Network Pruning", ICLR 2019, section 3 (their "Scratch-E": the same
    number of epochs). Differs from the paper: the epochs are those of the fine-tuning it is compared with.
    """

    name: ClassVar[str] = "scratch"
    new_weights: ClassVar[bool] = True

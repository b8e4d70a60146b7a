"""The declaration by which a sweep file chooses a loss: its options, its batches and what it needs."""

from collections.abc import Callable
from dataclasses import dataclass

from retrieval.training.batch_kinds import PLAIN, BatchKind
from retrieval.training.losses.base import Loss
from retrieval.training.options import Option


@dataclass(frozen=True)
class LossKind:
    """One loss as the table `retrieval.training.losses.registry.LOSSES` lists it.

    Attributes:
        make: takes the number of classes, the descriptor size and `options` as keywords, and returns the loss.
        options: the keywords, keys of [loss] in a sweep file.
        batches: the batches that it trains on.
        learns: the parameters that it has of its own, in words, for messages; empty where it has none.
        least_classes: fewer classes of training images leave it nothing to learn.
        needs_classifier: whether it takes the outputs of a `retrieval.networks.reid.ReIDNetwork`.
    """

    make: Callable[..., Loss]
    options: tuple[Option, ...] = ()
    batches: BatchKind = PLAIN
    learns: str = ""
    least_classes: int = 1
    needs_classifier: bool = False

    @property
    def all_options(self) -> tuple[Option, ...]:
        """The options of the loss itself, then those of its batches."""
        return self.options + self.batches.options


def of_any_size(loss: Callable[..., Loss]) -> Callable[..., Loss]:
    """Return a `LossKind.make` for a loss that depends neither on the classes nor on the descriptor size."""

    def make(classes: int, descriptor_size: int, **options: object) -> Loss:
        return loss(**options)

    return make

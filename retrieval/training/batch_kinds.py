"""The kinds of batches that a loss can ask for, with the options that each takes from a sweep file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import conint

from retrieval.training.loop import Batches, BatchSource
from retrieval.training.options import Option
from retrieval.training.sampling import ClassBatches
from retrieval.training.tuples import TupleBatches

_AT_LEAST_ONE, _AT_LEAST_TWO = conint(ge=1), conint(ge=2)


@dataclass(frozen=True)
class BatchKind:
    """One way to make batches of a training set.

    Attributes:
        make: takes plain random batches, whose images, seed and steps it uses, and `options` as keywords.
        options: the keywords.
        check: raises a ValueError for batches that an epoch could fail to draw; looks at the whole training set.
    """

    make: Callable[..., BatchSource]
    options: tuple[Option, ...] = ()
    check: Callable[[Any], None] = lambda batches: None


def _plain(plain: Batches) -> Batches:
    return plain


PLAIN = BatchKind(_plain)
"""`batch_size` random images with the labels of their classes."""

TUPLES = BatchKind(
    TupleBatches,
    (
        Option("negatives", _AT_LEAST_ONE, TupleBatches.negatives, "negatives of a tuple"),
        Option("queries", _AT_LEAST_ONE, TupleBatches.queries, "tuples mined an epoch"),
        Option("pool", _AT_LEAST_ONE, TupleBatches.pool, "images that negatives are mined among, an epoch"),
    ),
    check=TupleBatches.check_negatives,
)
"""`batch_size` tuples of a query, its positive and its hardest negatives, with the targets −1, 1 and 0."""

CLASSES = BatchKind(
    ClassBatches,
    (
        Option("classes_per_batch", _AT_LEAST_TWO, ClassBatches.classes_per_batch, "classes in a batch"),
        Option("images_per_class", _AT_LEAST_TWO, ClassBatches.images_per_class, "images of each class in a batch"),
    ),
)
"""`classes_per_batch` × `images_per_class` images with the labels of their classes."""

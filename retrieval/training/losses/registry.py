"""All losses by name, as sweep files name them."""

from collections.abc import Mapping
from typing import Any, Union

from retrieval.training.losses.batch_hard import BATCH_HARD
from retrieval.training.losses.contrastive import CONTRASTIVE
from retrieval.training.losses.cosine_softmax import COSINE_SOFTMAX
from retrieval.training.losses.kind import LossKind
from retrieval.training.losses.reid import REID
from retrieval.training.losses.triplet import TRIPLET
from retrieval.training.options import Option

LOSSES: dict[str, LossKind] = {
    "cosine_softmax": COSINE_SOFTMAX,
    "contrastive": CONTRASTIVE,
    "triplet": TRIPLET,
    "batch_hard": BATCH_HARD,
    "reid": REID,
}


def options_by_key() -> dict[str, dict[str, Option]]:
    """Return, for each key that any loss takes, the option by the name of each loss that takes it."""
    by_key: dict[str, dict[str, Option]] = {}
    for loss, kind in LOSSES.items():
        for option in kind.all_options:
            by_key.setdefault(option.name, {})[loss] = option
    return by_key


def annotation_of(options: Mapping[str, Option]) -> Any:
    """Return the type of a key: every value that one of the losses that take it allows, or None (not given)."""
    return Union[(*(option.annotation for option in options.values()), None)]


def check_options(loss: str, given: Mapping[str, Any]) -> None:
    """Check that a loss takes the options that are given.

    Args:
        loss: a name in `LOSSES`.
        given: values by key.

    Raises:
        ValueError: the loss does not know a key, or allows other values than the one given.
    """
    known = {option.name: option for option in LOSSES[loss].all_options}
    for key, takers in options_by_key().items():
        if key not in given:
            continue
        if key not in known:
            raise ValueError(f"{key} is {given[key]!r}, but {loss} takes only {', '.join(known)}")
        if not known[key].accepts(given[key]):
            others = " and ".join(other for other, option in takers.items() if option.accepts(given[key]))
            raise ValueError(
                f'{key} is "{given[key]}", but {loss} takes {known[key].takes}: {others} know a {given[key]} one'
            )

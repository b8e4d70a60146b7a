"""Errors of pydantic as one line that a person can act on."""

import textwrap
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from pruning.names import did_you_mean

_LONGEST_VALUE = 200


def first_error(error: ValidationError, model: type[BaseModel], *, inside: str = "") -> str:
    """Return the first of pydantic's errors as one line; for an unknown key, with the nearest one that exists.

    Args:
        error: raised by `model`.
        model: looked through for the keys that an unknown one may have meant.
        inside: put before every key: where in its file the model stands, as "space.".
    """
    # A mistyped key is unknown and leaves the right one missing: the unknown one is what to correct.
    first = min(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
    *section, key = first["loc"] or ("",)
    where = inside + ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown key {where!r}: {_known_keys(str(key), model, section)}"
    given = "" if first["type"] in ("missing", "value_error") else f", not {_shortened(first['input'])}"
    message = first["msg"].removeprefix("Value error, ")
    where = where.rstrip(".")
    return f"{where}: {message}{given}" if where else message


def _shortened(value: object) -> str:
    return textwrap.shorten(repr(value), _LONGEST_VALUE, placeholder=" …")


def _known_keys(key: str, model: type[BaseModel], path: list[Any]) -> str:
    section = _section(model, path)
    if section is None:
        return "nothing is known by this name there"
    return did_you_mean(key, section.model_fields)


def _section(model: type[BaseModel], path: list[Any]) -> type[BaseModel] | None:
    """Return the model at a path of keys; None where the path leads through something else, as a list of models."""
    for part in path:
        if str(part) not in model.model_fields:
            return None
        annotation = model.model_fields[str(part)].annotation
        # A section that may be left out is a union with None.
        models = [each for each in (annotation, *get_args(annotation)) if _is_model(each)]
        if len(models) != 1:
            return None
        (model,) = models
    return model


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)

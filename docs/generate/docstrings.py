"""What a settings class's docstring says: its prose, and a text for each of its keys."""

import inspect
import re
from typing import NamedTuple

from pydantic import BaseModel

# "name: text", or "one, another: text", at the left margin of the docstring or of a section.
_ENTRY = re.compile(r"(?P<names>\w+(?:, \w+)*)(?: \([^)]*\))?: (?P<text>.+)")
_HEADER = re.compile(r"(Args|Attributes|Raises|Returns|Example|Examples|Yields):\s*")
_SECTIONS_WITH_KEYS = ("Args", "Attributes")


class DescribedKeys(NamedTuple):
    """A docstring in two parts: sentences about the whole, and one text a key."""

    prose: str
    keys: dict[str, str]


def described_keys(model: type[BaseModel]) -> DescribedKeys:
    """Read the docstrings of a settings class and of the classes that it extends.

    Args:
        model: a class whose docstring names its keys below `Attributes:` or in lines "name: text".

    Returns:
        The prose of the class itself, and the texts of its keys and of those it inherits; `Field(description=…)` wins.
    """
    keys: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if base is not BaseModel and issubclass(base, BaseModel) and base.__doc__:
            keys |= _parse(base.__doc__, set(model.model_fields)).keys
    for name, field in model.model_fields.items():
        if field.description:
            keys[name] = field.description
    return DescribedKeys(_parse(model.__doc__ or "", set(model.model_fields)).prose, keys)


def _parse(docstring: str, known: set[str]) -> DescribedKeys:
    prose: list[str] = []
    keys: dict[str, str] = {}
    section = ""
    entry: tuple[str, ...] = ()
    for line in inspect.cleandoc(docstring).splitlines():
        if header := _HEADER.fullmatch(line):
            section, entry = header[1], ()
            continue
        text = line.strip()
        match = _ENTRY.fullmatch(text)
        named = tuple(match["names"].split(", ")) if match else ()
        if match and set(named) <= known and section in ("", *_SECTIONS_WITH_KEYS):
            entry = named
            keys |= dict.fromkeys(named, match["text"])
        elif entry and line.startswith(" "):
            keys |= {name: f"{keys[name]} {text}" for name in entry}
        elif not section:
            entry = ()
            prose.append(text)
    return DescribedKeys("\n".join(prose).strip(), keys)

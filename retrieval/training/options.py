"""Options that a loss and its batches take from the section [loss] of a sweep file."""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError


@dataclass(frozen=True)
class Option:
    """One key of [loss]: a keyword argument of a loss, or of its batches.

    Attributes:
        name: the key.
        annotation: a type as pydantic takes it, with its bounds; losses that share a key may allow different values.
        default: the value where the key is not given.
        description: of the key, for the reference page.
        takes: the values that are allowed, in words, for error messages.
    """

    name: str
    annotation: Any
    default: Any
    description: str
    takes: str = "a number"

    def accepts(self, value: Any) -> bool:
        """Return whether a value is of this option's type and within its bounds."""
        try:
            TypeAdapter(self.annotation).validate_python(value)
        except ValidationError:
            return False
        return True

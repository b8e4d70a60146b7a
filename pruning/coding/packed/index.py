"""The index of a packed file: what it says of each tensor, and the lengths that follow from it.

docs/packed-format.md describes the same for readers in other languages.
"""

import json
from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import Annotated, Literal, TypeAlias

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from pruning.coding.packed.bits import field_bytes
from pruning.coding.packed.positions import Dense, Form

_MOST_ELEMENTS = 2**48  # of one tensor; sizes stay far from what 64 bits can count

_WHOLE = (torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32, torch.int64)
_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.bool, *_WHOLE, *_FLOATING)}


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    shape: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=64)]

    @model_validator(mode="after")
    def _countable(self) -> "_Entry":
        # Sizes beside a 0 count too: torch multiplies them when it lays the tensor out.
        if prod(max(size, 1) for size in self.shape) > _MOST_ELEMENTS:
            raise ValueError(f"{self.name!r} has the shape {self.shape}, the most is {_MOST_ELEMENTS} elements")
        return self

    @property
    def elements(self) -> int:
        return prod(self.shape)


class RawEntry(_Entry):
    """A tensor that is kept as it is.

    Attributes:
        name: its key in the state dict.
        dtype: a key of `DTYPES`: the name that torch has for the type of its elements.
    """

    kind: Literal["raw"] = "raw"
    dtype: str

    @model_validator(mode="after")
    def _known_dtype(self) -> "RawEntry":
        if self.dtype not in DTYPES:
            raise ValueError(f"{self.name!r} is of type {self.dtype!r}; it must be one of {', '.join(DTYPES)}")
        return self

    @property
    def section_bytes(self) -> tuple[int]:
        """Length of its only section."""
        return (self.elements * DTYPES[self.dtype].itemsize,)


class WeightEntry(_Entry):
    """A quantized weight.

    Attributes:
        name: its key in the state dict.
        kind: what its codes stand for: centres of one codebook, or steps of a uniform grid for each out channel.
        bits: 2 to 8; codes are below 2^bits.
        kept: how many of its elements are not pruned.
        positions: the form in which the file stores which elements those are.
        huffman_bytes: length of its Huffman-coded symbols; None when they stand in fields of equal width.
    """

    kind: Literal["codebook", "uniform"]
    bits: int = Field(ge=2, le=8)
    kept: int = Field(ge=0)
    positions: Form
    huffman_bytes: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _possible(self) -> "WeightEntry":
        if self.kept > self.elements:
            raise ValueError(f"{self.name!r} keeps {self.kept} of {self.elements} elements")
        if self.kind == "uniform" and not self.shape:
            raise ValueError(f"{self.name!r} is a scalar, which has no out channels: it must have a codebook")
        if isinstance(self.positions, Dense):
            self._check_zero(self.positions.zero)
        return self

    def _check_zero(self, zero: int | None) -> None:
        if zero is None and self.kept < self.elements:
            raise ValueError(f"{self.name!r} keeps {self.kept} of {self.elements}, but has no symbol for the others")
        if zero is not None and zero > 2**self.bits:
            raise ValueError(f"{self.name!r} has {zero} for zero, the most with {self.bits} bits is {2**self.bits}")

    @property
    def symbols(self) -> int:
        """Number of symbols in its last section: one for each weight, or for each that is kept."""
        return self.elements if isinstance(self.positions, Dense) else self.kept

    @property
    def alphabet(self) -> int:
        """Number of symbols that there are: 2^bits, or one more where zero has a symbol beside all codes."""
        zero = self.positions.zero if isinstance(self.positions, Dense) else None
        return 2**self.bits + (zero == 2**self.bits)

    @property
    def symbol_bits(self) -> int:
        """Width, in bits, of the fields that hold symbols which are not Huffman-coded."""
        return (self.alphabet - 1).bit_length()

    @property
    def section_bytes(self) -> tuple[int, int, int]:
        """Lengths of its sections: codebook or grid, positions, symbols."""
        codebook = 4 * 2**self.bits if self.kind == "codebook" else 8 * self.shape[0]
        plain = field_bytes(self.symbols, self.symbol_bits)
        symbols = plain if self.huffman_bytes is None else self.huffman_bytes
        return codebook, self.positions.position_bytes(self.elements), symbols


Entry: TypeAlias = RawEntry | WeightEntry
_INDEX = TypeAdapter(list[Annotated[Entry, Field(discriminator="kind")]])


def index_to_json(entries: Sequence[Entry]) -> bytes:
    """Return canonical JSON: keys in alphabetical order, no spaces, ASCII only, no key whose value is null."""
    plain = [entry.model_dump(mode="json", exclude_none=True) for entry in entries]
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode("ascii")


def index_from_json(text: bytes) -> list[Entry]:
    """Read what `index_to_json` wrote.

    Raises:
        ValueError: an entry says what cannot be, or two have one name.
    """
    try:
        entries: list[Entry] = _INDEX.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = " → ".join(map(str, first["loc"])) or "its beginning"
        raise ValueError(f"the packed file's index is wrong at {where}: {first['msg']}") from error
    twice = [name for name, count in Counter(entry.name for entry in entries).items() if count > 1]
    if twice:
        raise ValueError(f"the packed file's index names {twice[0]!r} more than once")
    return entries

"""Where a quantized weight's non-zeros are, in three forms, and what each costs.

Source: the relative index is that of Han et al., ICLR 2016, section 2 and figure 2.
Differs from the paper: a filler stands for zeros only and has no code of its own; the width of the gaps is not fixed at
8 bits for convolutions and 5 for linear layers, but the cheapest for each tensor; fillers follow the last non-zero too.

Letters: N weights, K those that are kept, E entries of a relative index.
"""

from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pruning.coding.packed.bits import field_bytes, pack_fields, unpack_fields

NARROWEST_GAP_BITS = 2  # 1 bit would be a bitmap
WIDEST_GAP_BITS = 12  # so that no entry stands for more than 4095 weights


class Dense(BaseModel):
    """Every weight has a symbol, the pruned ones too.

    Attributes:
        zero: the symbol of pruned weights; None where there are none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    form: Literal["dense"] = "dense"
    zero: int | None = Field(default=None, ge=0, le=256)

    def position_bytes(self, weights: int) -> int:
        """Return 0: the symbols say which weights are kept."""
        return 0


class Bitmap(BaseModel):
    """One bit for each weight, 1 where it is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    form: Literal["bitmap"] = "bitmap"

    def position_bytes(self, weights: int) -> int:
        """Return how many bytes the positions take in a tensor of so many weights."""
        return field_bytes(weights, 1)


class Relative(BaseModel):
    """The number of pruned weights before each kept one, in fields of equal width.

    With `longest` = 2^gap_bits − 1, a field below it is a gap: so many weights are pruned, the next is kept. A field
    equal to it is a filler: `longest` weights are pruned. Fewer than `longest` weights follow the last field; they are
    pruned.

    Attributes:
        gap_bits: bits of each field, 2 to 12.
        entries: number of fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    form: Literal["relative"] = "relative"
    gap_bits: int = Field(ge=NARROWEST_GAP_BITS, le=WIDEST_GAP_BITS)
    entries: int = Field(ge=0)

    @property
    def longest(self) -> int:
        """Value that marks a filler; a filler stands for as many pruned weights."""
        return 2**self.gap_bits - 1

    def position_bytes(self, weights: int) -> int:
        """Return how many bytes the positions take in a tensor of so many weights."""
        return field_bytes(self.entries, self.gap_bits)


Form: TypeAlias = Annotated[Dense | Bitmap | Relative, Field(discriminator="form")]


def possible_forms(counts_C: NDArray[np.int64], kept_N: NDArray[np.bool_]) -> list[Dense | Bitmap | Relative]:
    """Return the forms that can be the cheapest for a weight that keeps counts_C[c] elements with code c.

    In the dense form pruned weights get the first code that no kept weight has, else the number behind all codes. A
    relative index is left out where its shortest entry, 2 bits for each kept weight, is no less than a bitmap.
    """
    kept = int(counts_C.sum())
    dense = Dense(zero=int(np.append(counts_C, 0).argmin()) if kept < len(kept_N) else None)
    sparse = NARROWEST_GAP_BITS * kept < len(kept_N)
    return [dense, Bitmap(), *([cheapest_relative(kept_N)] if sparse else [])]


def cheapest_relative(kept_N: NDArray[np.bool_]) -> Relative:
    """Return the relative index whose gap width takes the fewest bytes; of equal ones the narrowest."""
    gaps, kept = _gaps(kept_N), int(np.count_nonzero(kept_N))
    candidates = []
    for gap_bits in range(NARROWEST_GAP_BITS, WIDEST_GAP_BITS + 1):
        fillers = int((gaps // (2**gap_bits - 1)).sum())
        candidates.append(Relative(gap_bits=gap_bits, entries=kept + fillers))
        if not fillers:
            break  # wider fields would only cost more
    return min(candidates, key=lambda form: form.position_bytes(len(kept_N)))


def write_positions(form: Dense | Bitmap | Relative, kept_N: NDArray[np.bool_]) -> bytes:
    """Write the section that tells `read_positions` which weights are kept; it is empty for the dense form."""
    if isinstance(form, Dense):
        return b""
    if isinstance(form, Bitmap):
        return np.packbits(kept_N).tobytes()
    gaps = _gaps(kept_N)
    fillers = gaps // form.longest
    fields_E = np.full(form.entries, form.longest, np.uint16)
    fields_E[fillers[:-1].cumsum() + np.arange(len(gaps) - 1)] = gaps[:-1] % form.longest
    return pack_fields(fields_E, form.gap_bits)


def read_positions(form: Bitmap | Relative, data: bytes | memoryview, weights: int) -> NDArray[np.bool_]:
    """Read which of the weights are kept; bool of shape N.

    Raises:
        ValueError: the data describe more or fewer weights.
    """
    if isinstance(form, Bitmap):
        return np.unpackbits(np.frombuffer(data, np.uint8), count=weights).astype(np.bool_)
    fields_E = unpack_fields(data, form.entries, form.gap_bits)
    gap_E = fields_E < form.longest
    ends_E = (fields_E + gap_E).cumsum(dtype=np.int64)
    covered = int(ends_E[-1]) if form.entries else 0
    if not 0 <= weights - covered < form.longest:
        raise ValueError(
            f"the relative index covers {covered} weights, it must cover more than {weights - form.longest} "
            f"and at most {weights}"
        )
    kept_N = np.zeros(weights, np.bool_)
    kept_N[ends_E[gap_E] - 1] = True
    return kept_N


def _gaps(kept_N: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many weights are pruned before each kept one and, last of all, behind the last one: K + 1 numbers."""
    return np.diff(np.flatnonzero(kept_N), prepend=-1, append=len(kept_N)) - 1

import numpy as np
import pytest
from numpy.typing import NDArray

from pruning.coding.packed.positions import (
    NARROWEST_GAP_BITS,
    WIDEST_GAP_BITS,
    Bitmap,
    Dense,
    Relative,
    cheapest_relative,
    possible_forms,
    read_positions,
    write_positions,
)


def kept_at(places: list[int], weights: int) -> NDArray[np.bool_]:
    kept = np.zeros(weights, np.bool_)
    kept[places] = True
    return kept


def fields_of(kept: NDArray[np.bool_], longest: int) -> list[int]:
    """The relative index by hand: walk over the weights and count."""
    fields, gap = [], 0
    for keep in kept:
        if keep:
            fields.append(gap)
            gap = 0
            continue
        gap += 1
        if gap == longest:
            fields.append(longest)
            gap = 0
    return fields


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.7, 1.0])
@pytest.mark.parametrize("weights", [0, 1, 2, 3, 255, 5000])
@pytest.mark.parametrize("gap_bits", [2, 3, 5, 12])
def test_a_relative_index_is_what_counting_by_hand_gives(weights: int, share: float, gap_bits: int) -> None:
    kept = np.random.default_rng(weights).random(weights) < share
    longest = 2**gap_bits - 1
    fields = fields_of(kept, longest)
    form = Relative(gap_bits=gap_bits, entries=len(fields))
    data = write_positions(form, kept)
    as_text = "".join(f"{field:0{gap_bits}b}" for field in fields)
    assert "".join(f"{byte:08b}" for byte in data)[: len(as_text)] == as_text
    assert len(data) == form.position_bytes(weights)
    assert np.array_equal(read_positions(form, data, weights), kept)


def test_the_documented_example_of_a_filler() -> None:
    kept = kept_at([1, 4, 9], 10)
    assert write_positions(Relative(gap_bits=2, entries=4), kept) == bytes.fromhex("6D")


@pytest.mark.parametrize("share", [0.5, 0.3, 0.1, 0.01, 0.0005, 0.0])
def test_the_gap_width_is_the_cheapest_of_all(share: float) -> None:
    kept = np.random.default_rng(3).random(20_000) < share
    cost = {
        gap_bits: Relative(gap_bits=gap_bits, entries=len(fields_of(kept, 2**gap_bits - 1))).position_bytes(len(kept))
        for gap_bits in range(NARROWEST_GAP_BITS, WIDEST_GAP_BITS + 1)
    }
    assert cheapest_relative(kept).position_bytes(len(kept)) == min(cost.values())


def test_sparser_weights_take_wider_gaps() -> None:
    random = np.random.default_rng(4).random(200_000)
    widths = [cheapest_relative(random < share).gap_bits for share in (0.4, 0.2, 0.1, 0.01, 0.001)]
    assert widths == sorted(set(widths))


def test_a_relative_index_is_left_out_only_where_a_bitmap_is_no_dearer() -> None:
    random = np.random.default_rng(5).random(4000)
    for share in np.linspace(0, 1, 41):
        kept = random < share
        forms = possible_forms(np.array([np.count_nonzero(kept), 0, 0, 0]), kept)
        if not any(isinstance(form, Relative) for form in forms):
            assert Bitmap().position_bytes(4000) <= cheapest_relative(kept).position_bytes(4000)


def test_pruned_weights_get_a_code_that_is_free_or_the_next_number() -> None:
    kept = kept_at([0, 2], 4)
    assert possible_forms(np.array([1, 0, 1, 0]), kept)[0] == Dense(zero=1)
    assert possible_forms(np.array([1, 1, 1, 1]), np.array([True] * 4 + [False]))[0] == Dense(zero=4)
    assert possible_forms(np.array([2, 2, 0, 0]), np.ones(4, np.bool_))[0] == Dense(zero=None)


@pytest.mark.parametrize("weights", [9, 13, 2**40])
def test_an_index_that_covers_another_number_of_weights_is_refused(weights: int) -> None:
    form = Relative(gap_bits=2, entries=4)
    with pytest.raises(ValueError, match="covers 10 weights, it must cover more than"):
        read_positions(form, bytes.fromhex("6D"), weights)

import heapq

import numpy as np
import pytest
from numpy.typing import NDArray

from pruning.coding.packed.huffman import BLOCK_SYMBOLS, code_lengths, count_symbols, decode, encode, encoded_bytes


def skewed_symbols(count: int, alphabet: int, seed: int = 0) -> NDArray[np.uint16]:
    normal = np.random.default_rng(seed).normal(alphabet / 2, alphabet / 8, count)
    return normal.clip(0, alphabet - 1).astype(np.uint16)


def huffman_cost(counts: NDArray[np.int64]) -> int:
    """Bits of Huffman's own code, without a limit: the sum of all that is merged."""
    heap = [int(count) for count in counts if count]
    heapq.heapify(heap)
    cost = 0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        cost += merged
        heapq.heappush(heap, merged)
    return cost


@pytest.mark.parametrize("count", [0, 1, 2, BLOCK_SYMBOLS - 1, BLOCK_SYMBOLS, BLOCK_SYMBOLS + 1, 200_001])
@pytest.mark.parametrize("alphabet", [4, 5, 32, 257])
def test_symbols_come_back_and_take_the_bytes_that_were_counted(count: int, alphabet: int) -> None:
    symbols = skewed_symbols(count, alphabet)
    data = encode(symbols, alphabet)
    assert np.array_equal(decode(data, count, alphabet), symbols)
    assert len(data) == encoded_bytes(count_symbols(symbols, alphabet))


def test_the_format_is_the_documented_one() -> None:
    assert encode(np.array([2, 2, 0, 3], np.uint8), 4) == bytes.fromhex("20 12 06 00 2C")


@pytest.mark.parametrize("seed", range(200))
def test_a_code_is_complete_within_the_limit_and_as_cheap_as_huffmans(seed: int) -> None:
    random = np.random.default_rng(seed)
    # Few different counts, so that there are many ties, and zeros among them.
    counts = random.integers(0, random.integers(1, 50), random.integers(2, 15))
    lengths = code_lengths(counts)
    assert sum(2.0**-length for length in lengths if length) == 1
    assert lengths.max() <= 15
    assert (counts * lengths).sum() == (huffman_cost(counts) if np.count_nonzero(counts) > 1 else counts.sum())


def test_a_limited_code_stays_within_its_limit_where_huffmans_own_would_not() -> None:
    fibonacci = [1, 1]
    while len(fibonacci) < 40:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    counts = np.array(fibonacci)
    lengths = code_lengths(counts)
    assert lengths.max() == 15
    assert sum(2.0**-length for length in lengths) == 1
    assert huffman_cost(counts) < (counts * lengths).sum() < huffman_cost(counts) * 1.001


def test_words_of_fifteen_bits_are_decoded() -> None:
    counts = 2 ** np.arange(17)
    symbols = np.random.default_rng(0).permutation(np.repeat(np.arange(17, dtype=np.uint8), counts))
    data = encode(symbols, 17)
    assert code_lengths(counts).max() == 15
    assert np.array_equal(decode(data, len(symbols), 17), symbols)


@pytest.mark.parametrize("alphabet", [4, 32, 256])
@pytest.mark.parametrize("spread", [0.001, 0.1, 1.0, 10.0])
def test_huffman_is_within_one_bit_of_the_entropy_and_its_tables(alphabet: int, spread: float) -> None:
    normal = np.random.default_rng(1).normal(alphabet / 2, spread * alphabet / 8, 50_000)
    symbols = normal.clip(0, alphabet - 1).astype(np.uint8)
    counts = count_symbols(symbols, alphabet)
    shares = counts[counts > 0] / len(symbols)
    entropy = float(-(shares * np.log2(shares)).sum())
    tables_bits = 4 * alphabet + 16 * -(-len(symbols) // BLOCK_SYMBOLS) + 8
    bits = 8 * len(encode(symbols, alphabet)) - tables_bits
    assert entropy * len(symbols) - 8 <= bits <= (entropy + 1) * len(symbols)


def test_damage_is_an_error_or_other_symbols_but_nothing_worse() -> None:
    symbols = skewed_symbols(600, 32)
    data = encode(symbols, 32)
    refused = 0
    for position in range(0, len(data), 2):
        damaged = bytearray(data)
        damaged[position] ^= 0x55
        try:
            assert decode(bytes(damaged), len(symbols), 32).max() < 32
        except ValueError:
            refused += 1
    assert refused > 50  # a Huffman code often falls back into step, which the file's checksum must catch


@pytest.mark.parametrize(
    ("lengths", "says"),
    [("00 00", "no complete prefix code"), ("11 10", "no complete prefix code"), ("20 00", "no complete prefix code")],
)
def test_word_lengths_that_are_no_code_are_refused(lengths: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode(bytes.fromhex(f"{lengths} 06 00 2C"), 4, 4)


def test_more_symbols_than_the_data_can_hold_are_refused_before_anything_is_made() -> None:
    with pytest.raises(ValueError, match="tables of 1152921504606846976 Huffman-coded symbols"):
        decode(bytes(100), 2**60, 32)


def test_a_stream_that_is_cut_short_is_refused() -> None:
    data = encode(skewed_symbols(3000, 32), 32)
    with pytest.raises(ValueError, match="cannot be the"):
        decode(data[:-1], 3000, 32)


def test_an_alphabet_too_large_for_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="must have 2 to 8"):
        code_lengths(np.ones(9, np.int64), longest=3)

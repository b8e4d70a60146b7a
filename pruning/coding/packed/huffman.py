"""Huffman coding of small whole numbers, cut into blocks so that all of them are decoded side by side.

The code is canonical: the code words follow from their lengths alone. Sorted by (length, symbol), each word is the one
before it plus one, with zeros added behind where it is longer. What `encode` writes is described in
docs/packed-format.md.

Source: Huffman 1952; lengths limited by package-merge (Larmore and Hirschberg, J. ACM 1990); its use on the codes of
quantized weights: Han et al., ICLR 2016, section 4.
Differs from the paper: Han also codes the gaps between non-zeros; here they stay in fields of equal width.

Letters: N symbols in the order of the data, S symbols of the alphabet, L bits of the longest code word, B blocks.
"""

import numpy as np
from numpy.typing import NDArray

from pruning.coding.packed.bits import field_bytes, pack_fields, unpack_fields

LONGEST_BITS = 15  # a length fits into 4 bits, a table of all words into 32768 rows
BLOCK_SYMBOLS = 512
_LENGTH_BITS = 4
_BATCH_SYMBOLS = 2**16


def count_symbols(symbols_N: NDArray[np.unsignedinteger], alphabet: int) -> NDArray[np.int64]:
    """Count how often each symbol below `alphabet` occurs; the counts have shape S."""
    counts_S = np.zeros(alphabet, np.int64)
    for start in range(0, len(symbols_N), _BATCH_SYMBOLS):  # bincount takes 8 bytes for each symbol
        counts_S += np.bincount(symbols_N[start : start + _BATCH_SYMBOLS], minlength=alphabet)
    return counts_S


def code_lengths(counts_S: NDArray[np.int64], longest: int = LONGEST_BITS) -> NDArray[np.int64]:
    """Return the bits of each symbol's code word, of shape S: the cheapest prefix code without a word above `longest`.

    Symbols that never occur have no word: length 0. The code is always complete, for which it needs at least two words:
    when fewer symbols occur, the first of those that do not get one too.

    Raises:
        ValueError: there are fewer than 2 or more than 2^longest symbols.
    """
    if not 2 <= len(counts_S) <= 2**longest:
        raise ValueError(f"an alphabet of {len(counts_S)} symbols cannot be coded; it must have 2 to {2**longest}")
    most_first = np.argsort(-counts_S, kind="stable").tolist()
    coded = most_first[: max(2, int(np.count_nonzero(counts_S)))]
    # A package: its cost, and symbols; each time that a symbol is listed, its word becomes one bit longer.
    single = [(int(counts_S[symbol]), (symbol,)) for symbol in coded]
    packages: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(longest):
        # Of equal costs the smaller package goes first, or a symbol that costs nothing would get the longest word.
        rising = sorted([*single, *packages], key=lambda package: (package[0], len(package[1]), package[1]))
        pairs = zip(rising[::2], rising[1::2], strict=False)
        packages = [(first[0] + second[0], first[1] + second[1]) for first, second in pairs]
    chosen = [symbol for _, symbols in packages[: len(coded) - 1] for symbol in symbols]
    return np.bincount(chosen, minlength=len(counts_S))


def encoded_bytes(counts_S: NDArray[np.int64]) -> int:
    """Return the length of what `encode` makes of any sequence in which symbol s occurs counts_S[s] times."""
    stream_bits = int((counts_S * code_lengths(counts_S)).sum())
    return _tables_bytes(int(counts_S.sum()), len(counts_S)) + field_bytes(stream_bits, 1)


def encode(symbols_N: NDArray[np.unsignedinteger], alphabet: int) -> bytes:
    """Write symbols below `alphabet`: the code's lengths, the bits that each block takes, then the blocks."""
    lengths_S = code_lengths(count_symbols(symbols_N, alphabet))
    bits_N = lengths_S.astype(np.uint16)[symbols_N]
    block_bits_B = np.add.reduceat(bits_N, np.arange(0, len(bits_N), BLOCK_SYMBOLS)) if len(bits_N) else bits_N
    lengths = pack_fields(lengths_S.astype(np.uint8), _LENGTH_BITS)
    return lengths + block_bits_B.astype("<u2").tobytes() + _bit_stream(symbols_N, lengths_S)


def decode(data: bytes | memoryview, count: int, alphabet: int) -> NDArray[np.uint16]:
    """Read `count` symbols that `encode` wrote.

    Raises:
        ValueError: the data are nothing that `encode` writes.
    """
    lengths_S, block_bits_B, stream = _split(data, count, alphabet)
    words, length_of = _word_table(lengths_S)
    ends_B = block_bits_B.cumsum()
    if len(stream) != field_bytes(int(block_bits_B.sum()), 1):
        raise ValueError(f"blocks of {block_bits_B.sum()} bits in all cannot be the {len(stream)} bytes that follow")
    symbols_N, reached_B = _read_blocks(stream, ends_B - block_bits_B, count, words, length_of)
    wrong = np.flatnonzero(reached_B != ends_B)
    if len(wrong):
        raise ValueError(f"Huffman block {wrong[0]} ends at bit {reached_B[wrong[0]]}, it must at {ends_B[wrong[0]]}")
    return symbols_N


def _tables_bytes(count: int, alphabet: int) -> int:
    return field_bytes(alphabet, _LENGTH_BITS) + 2 * -(-count // BLOCK_SYMBOLS)


def _split(
    data: bytes | memoryview, count: int, alphabet: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], bytes | memoryview]:
    """Split data into the lengths of the code words, the bits of each block, and the bit stream."""
    first, stream = field_bytes(alphabet, _LENGTH_BITS), _tables_bytes(count, alphabet)
    if len(data) < stream:
        raise ValueError(f"the tables of {count} Huffman-coded symbols take {stream} bytes, got {len(data)}")
    lengths_S = unpack_fields(data[:first], alphabet, _LENGTH_BITS).astype(np.int64)
    return lengths_S, np.frombuffer(data[first:stream], "<u2").astype(np.int64), data[stream:]


def _canonical(lengths_S: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the coded symbols in the order of their words, and how many strings of L bits begin with each word."""
    coded = np.flatnonzero(lengths_S)
    order = coded[np.argsort(lengths_S[coded], kind="stable")]
    return order, 1 << (lengths_S.max() - lengths_S[order])


def _bit_stream(symbols_N: NDArray[np.unsignedinteger], lengths_S: NDArray[np.int64]) -> bytes:
    """Return all code words one behind the other, the last byte filled up with zeros."""
    order, spans = _canonical(lengths_S)
    longest = int(lengths_S.max())
    words_S = np.zeros(len(lengths_S), np.int64)
    words_S[order] = spans.cumsum() - spans  # as if all were L bits long: what follows the word is 0
    bits_SL = (words_S[:, None] >> np.arange(longest)[::-1] & 1).astype(np.uint8)
    used_SL = np.arange(longest) < lengths_S[:, None]
    parts, rest = [], np.empty(0, np.uint8)
    for start in range(0, len(symbols_N), _BATCH_SYMBOLS):
        batch = symbols_N[start : start + _BATCH_SYMBOLS]
        bits = np.concatenate([rest, bits_SL[batch][used_SL[batch]]])
        whole = len(bits) // 8 * 8
        parts.append(np.packbits(bits[:whole]).tobytes())
        rest = bits[whole:]
    return b"".join([*parts, np.packbits(rest).tobytes()])


def _word_table(lengths_S: NDArray[np.int64]) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Return, for each string of L bits, the symbol whose word it begins with, and that word's length."""
    order, spans = _canonical(lengths_S) if lengths_S.any() else (lengths_S[:0], lengths_S[:0])
    if not len(order) or spans.sum() != 1 << lengths_S.max():
        raise ValueError(f"word lengths {sorted(lengths_S[order].tolist())} are no complete prefix code")
    symbols = np.repeat(order, spans)
    return symbols.astype(np.uint16), lengths_S[symbols]


def _read_blocks(
    stream: bytes | memoryview,
    starts_B: NDArray[np.int64],
    count: int,
    words: NDArray[np.uint16],
    length_of: NDArray[np.int64],
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Decode symbol by symbol, all blocks at once. Returns the symbols and the bit where each block came to its end."""
    longest = len(words).bit_length() - 1
    # A damaged block runs on, at most this far beyond the stream.
    padded = bytes(stream) + bytes(BLOCK_SYMBOLS * LONGEST_BITS // 8 + 4)
    windows = np.ndarray(len(padded) - 3, ">u4", padded, strides=(1,))  # the 32 bits that begin at each byte
    symbols = np.empty((min(count, BLOCK_SYMBOLS), len(starts_B)), np.uint16)
    at_B = starts_B.copy()
    in_last = count - BLOCK_SYMBOLS * (len(starts_B) - 1)
    for step in range(len(symbols)):
        running = len(at_B) if step < in_last else len(at_B) - 1
        at = at_B[:running]
        word = (windows[at >> 3] >> (32 - longest - (at & 7))) & (len(words) - 1)
        symbols[step, :running] = words[word]
        at += length_of[word]
    return symbols.T.reshape(-1)[:count], at_B

"""A second reader, written from docs/packed-format.md alone, bit by bit: it must read what the fast one does."""

import hashlib
import json
import struct
from math import prod
from typing import Any

import numpy as np
import pytest
import torch

from pruning.coding.packing import describe, pack
from pruning.coding.quantize import QuantizedWeight


def bits_of(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


def fields_of(data: bytes, count: int, width: int) -> list[int]:
    text = bits_of(data)
    return [int(text[at * width : (at + 1) * width], 2) for at in range(count)]


def read_index(data: bytes) -> tuple[list[dict[str, Any]], bytes]:
    """The index, and the sections of all tensors."""
    assert data[:8] == bytes.fromhex("89 50 46 52 4F 4E 54 0A")
    version, length = struct.unpack("<IQ", data[8:20])
    assert (version, length) == (1, len(data) - 52)
    assert hashlib.sha256(data[52:]).digest() == data[20:52]
    (index_length,) = struct.unpack("<I", data[52:56])
    return json.loads(data[56 : 56 + index_length]), data[56 + index_length :]


def take_values(entry: dict[str, Any], data: bytes) -> tuple[list[float], bytes]:
    count = 2 ** entry["bits"] if entry["kind"] == "codebook" else 2 * entry["shape"][0]
    return list(struct.unpack(f"<{count}f", data[: 4 * count])), data[4 * count :]


def take_positions(positions: dict[str, Any], elements: int, data: bytes) -> tuple[list[bool], bytes]:
    if positions["form"] == "dense":
        return [True] * elements, data
    if positions["form"] == "bitmap":
        length = -(-elements // 8)
        return [bit == "1" for bit in bits_of(data[:length])[:elements]], data[length:]
    length = -(-positions["entries"] * positions["gap_bits"] // 8)
    kept: list[bool] = []
    for field in fields_of(data[:length], positions["entries"], positions["gap_bits"]):
        kept += [False] * field
        if field < 2 ** positions["gap_bits"] - 1:
            kept.append(True)
    return kept + [False] * (elements - len(kept)), data[length:]


def huffman_symbols(data: bytes, count: int, alphabet: int) -> list[int]:
    lengths = fields_of(data, alphabet, 4)
    symbol_of, word, before = {}, -1, 0
    for length, symbol in sorted((length, symbol) for symbol, length in enumerate(lengths) if length):
        word, before = word + 1 << length - before, length
        symbol_of[f"{word:0{length}b}"] = symbol
    symbols: list[int] = []
    begun = ""
    for bit in bits_of(data[-(-alphabet // 2) + 2 * -(-count // 512) :]):
        begun += bit
        if begun in symbol_of and len(symbols) < count:
            symbols.append(symbol_of[begun])
            begun = ""
    return symbols


def take_symbols(entry: dict[str, Any], count: int, data: bytes) -> tuple[list[int], bytes]:
    alphabet = 2 ** entry["bits"] + (entry["positions"].get("zero") == 2 ** entry["bits"])
    if "huffman_bytes" in entry:
        length = entry["huffman_bytes"]
        return huffman_symbols(data[:length], count, alphabet), data[length:]
    width = (alphabet - 1).bit_length()
    length = -(-count * width // 8)
    return fields_of(data[:length], count, width), data[length:]


def read_weight(entry: dict[str, Any], data: bytes) -> tuple[list[float], bytes]:
    """The weight's elements in order, and what follows its sections."""
    values, data = take_values(entry, data)
    kept, data = take_positions(entry["positions"], prod(entry["shape"]), data)
    symbols, data = take_symbols(entry, sum(kept), data)
    if "zero" in entry["positions"]:
        kept = [symbol != entry["positions"]["zero"] for symbol in symbols]
        symbols = [symbol for symbol, keep in zip(symbols, kept, strict=True) if keep]
    assert sum(kept) == entry["kept"]
    codes = iter(symbols)
    rows = entry["shape"][0]
    elements = []
    for at, keep in enumerate(kept):
        code = next(codes) if keep else 0
        value = values[code] if entry["kind"] == "codebook" else on_grid(values, at // (len(kept) // rows), rows, code)
        elements.append(value if keep else 0.0)
    return elements, data


def on_grid(values: list[float], row: int, rows: int, code: int) -> float:
    return float(np.float32(values[row]) + np.float32(values[rows + row]) * np.float32(code))


@pytest.mark.parametrize("huffman", [False, True])
@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize("bits", [2, 5, 8])
def test_a_reader_written_from_the_document_reads_every_form(bits: int, uniform: bool, huffman: bool) -> None:
    random = torch.Generator().manual_seed(bits)
    state, quantized = {"first": torch.tensor([1.5, -2.0])}, {}
    for pruned in (0.0, 0.05, 0.3, 0.5, 0.9, 0.999):
        kept = torch.rand(60, 41, generator=random) >= pruned
        codes = (torch.rand(60, 41, generator=random) ** 2 * 2**bits).to(torch.uint8) * kept
        centres, low, step = (torch.randn(size, generator=random) for size in (2**bits, 60, 60))
        grid = {"low_O": low, "step_O": step} if uniform else {"centres_C": centres}
        quantized[str(pruned)] = QuantizedWeight(codes, kept, bits, **grid)
        state[str(pruned)] = torch.zeros(60, 41)
    data = pack(state, quantized, huffman=huffman)
    assert {row.form for row in describe(data)} >= {"relative", "dense"}
    index, rest = read_index(data)
    assert [entry["name"] for entry in index] == list(state)
    assert struct.unpack("<2f", rest[:8]) == (1.5, -2.0)
    rest = rest[8:]
    for entry in index[1:]:
        elements, rest = read_weight(entry, rest)
        assert elements == quantized[entry["name"]].dequantize().flatten().tolist()
    assert rest == b""

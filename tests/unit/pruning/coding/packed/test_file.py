"""Damage and nonsense: one clear error, never a crash, a hang or a huge allocation."""

import hashlib
import json
import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import torch

from pruning.coding.packed.file import HEADER, MAGIC, VERSION, read_file
from pruning.coding.packing import describe, pack, unpack, unpack_quantized
from pruning.coding.quantize import QuantizedWeight

Index = list[dict[str, Any]]
HUGE: list[Any] = [-1, 2**31, 2**40, 2**63, 2**64, 10**30, 1.5, True, None, "4", [], {}]


def weight_of(shape: tuple[int, int], bits: int, pruned: float) -> QuantizedWeight:
    kept = torch.rand(shape, generator=torch.Generator().manual_seed(1)) >= pruned
    # The square makes low codes frequent, so that a large weight is worth a Huffman code.
    share = torch.rand(shape, generator=torch.Generator().manual_seed(2)) ** 2
    codes = (share * 2**bits).to(torch.uint8) * kept
    return QuantizedWeight(codes, kept, bits, centres_C=torch.linspace(-1, 1, 2**bits))


@pytest.fixture(scope="module")
def packed() -> bytes:
    """A file with every form in it: dense, bitmap and relative, with and without Huffman, and raw tensors."""
    quantized = {
        "dense": weight_of((9, 3), 4, 0.0),
        "bitmap": weight_of((9, 8), 2, 0.5),
        "relative": weight_of((9, 30), 3, 0.95),
        "coded": weight_of((50, 40), 3, 0.2),
        "sparse": weight_of((90, 80), 3, 0.9),
    }
    state = {name: torch.zeros(weight.codes.shape) for name, weight in quantized.items()}
    data = pack({**state, "bias": torch.ones(3), "count": torch.tensor(2)}, quantized, huffman=True)
    assert [(row.form, row.huffman) for row in describe(data)[:5]] == [
        *(("dense", False), ("bitmap", False), ("relative", False), ("dense", True), ("relative", True))
    ]
    return data


def resealed(body: bytes, *, magic: bytes = MAGIC, version: int = VERSION) -> bytes:
    return HEADER.pack(magic, version, len(body), hashlib.sha256(body).digest()) + body


def with_index(data: bytes, change: Callable[[Index], object]) -> bytes:
    """The same file with another index, all lengths and the checksum right again."""
    length = int.from_bytes(data[52:56], "little")
    index = json.loads(data[56 : 56 + length])
    change(index)
    text = json.dumps(index).encode()
    return resealed(len(text).to_bytes(4, "little") + text + data[56 + length :])


def refused(data: bytes) -> bool:
    """Whether all readers refuse the file, each with a ValueError; any other error is the test's to fail on."""
    outcomes = set()
    for read in (unpack, unpack_quantized):
        try:
            read(data)
            outcomes.add(False)
        except ValueError:
            outcomes.add(True)
    return outcomes == {True}


def test_every_damaged_byte_is_noticed(packed: bytes) -> None:
    damage = random.Random(0)
    for position in range(len(packed)):
        data = bytearray(packed)
        data[position] ^= damage.randrange(1, 256)
        with pytest.raises(ValueError, match="packed"):
            read_file(bytes(data))


def test_a_file_cut_short_is_refused_wherever_it_is_cut(packed: bytes) -> None:
    for length in range(len(packed)):
        with pytest.raises(ValueError, match="packed"):
            read_file(packed[:length])


def test_bytes_behind_the_end_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="bytes after its header, which says"):
        unpack(packed + b"\0")
    with pytest.raises(ValueError, match="bytes of tensors"):
        unpack(resealed(packed[52:] + b"\0"))


def test_another_version_is_refused_by_its_number(packed: bytes) -> None:
    with pytest.raises(ValueError, match="is of version 2; this reader knows version 1"):
        unpack(resealed(packed[52:], version=2))


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"\x80\x02" * 100])
def test_another_kind_of_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no packed network"):
        describe(data)


@pytest.mark.parametrize("index", [b"", b"{", b"null", b"[1]", b"{}", b"[" * 100_000, b"\xff\xfe", b'[{"kind":"raw"}]'])
def test_an_index_that_is_none_is_refused(index: bytes) -> None:
    with pytest.raises(ValueError, match="the packed file's index is wrong at"):
        unpack(resealed(len(index).to_bytes(4, "little") + index))


def test_an_index_longer_than_the_file_is_refused() -> None:
    with pytest.raises(ValueError, match="index is 4294967295 bytes long"):
        unpack(resealed(b"\xff" * 4 + b"[]"))


def test_no_absurd_number_in_the_index_is_believed(packed: bytes) -> None:
    tried = 0

    def try_in_place_of(index: Index, part: dict[str, Any], key: str) -> None:
        nonlocal tried
        known = part[key]
        for value in (value for value in HUGE if value != known):
            part[key] = value
            assert refused(with_index(packed, lambda other: other.__setitem__(slice(None), index))), (part, key)
            tried += 1
        part[key] = known

    index = json.loads(packed[56 : 56 + int.from_bytes(packed[52:56], "little")])
    tracemalloc.start()
    for entry in index:
        for part in (entry, entry.get("positions", {})):
            for key in part.keys() - {"name"}:
                try_in_place_of(index, part, key)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert tried > 400
    assert peak_bytes < 4_000_000


NONSENSE: list[tuple[str, Callable[[Index], object]]] = [
    ("a huge shape with nothing in it", lambda index: index[5].update(shape=[0, 2**62, 2**62])),
    ("a huge sparse shape", lambda index: index[2].update(shape=[2**20, 2**20])),
    ("a huge empty sparse shape", lambda index: index[2].update(shape=[2**40], kept=0)),
    ("more kept than there are", lambda index: index[1].update(kept=73)),
    ("fewer kept than there are", lambda index: index[1].update(kept=index[1]["kept"] - 1)),
    ("another number of bits", lambda index: index[0].update(bits=5)),
    ("too many bits", lambda index: index[0].update(bits=9)),
    ("another form", lambda index: index[1].update(positions={"form": "dense", "zero": 0})),
    ("a form's missing part", lambda index: index[2].update(positions={"form": "relative", "gap_bits": 4})),
    ("a form's foreign part", lambda index: index[1].update(positions={"form": "bitmap", "zero": 1})),
    ("gaps too wide", lambda index: index[2]["positions"].update(gap_bits=13)),
    ("a zero symbol beyond the alphabet", lambda index: index[3]["positions"].update(zero=9)),
    ("pruned weights without a symbol", lambda index: index[3]["positions"].pop("zero")),
    ("an unknown type", lambda index: index[5].update(dtype="float8")),
    ("a type that is a function", lambda index: index[5].update(dtype="load")),
    ("a scalar grid", lambda index: index[0].update(shape=[], kind="uniform")),
    ("an unknown key", lambda index: index[0].update(comment="x")),
    ("a missing key", lambda index: index[0].pop("kept")),
    ("one name twice", lambda index: index[1].update(name="dense")),
    ("a tensor less", lambda index: index.pop()),
    ("a tensor twice", lambda index: index.append(index[-1])),
    ("entries in another order", lambda index: index.reverse()),
    ("too many dimensions", lambda index: index[5].update(shape=[*[1] * 64, 3])),
]


@pytest.mark.parametrize("change", [change for _, change in NONSENSE], ids=[name for name, _ in NONSENSE])
def test_a_nonsense_index_under_a_true_checksum_is_refused(packed: bytes, change: Callable[[Index], object]) -> None:
    assert refused(with_index(packed, change))


def test_nonsense_sections_under_a_true_checksum_are_refused_or_read_as_some_network(packed: bytes) -> None:
    damage, names, refusals = random.Random(1), list(unpack(packed)), 0
    start = 56 + int.from_bytes(packed[52:56], "little")
    for _ in range(80):
        body = bytearray(packed[52:])
        for _ in range(damage.choice([1, 1, 20])):
            body[damage.randrange(start - 52, len(body))] = damage.randrange(256)
        data = resealed(bytes(body))
        try:
            assert list(unpack(data)) == names
        except ValueError:
            refusals += 1
    assert 8 < refusals < 80


def test_nonsense_anywhere_under_a_true_checksum_is_refused_or_read(packed: bytes) -> None:
    damage, refusals = random.Random(2), 0
    for _ in range(300):
        body = bytearray(packed[52:])
        body[damage.randrange(int.from_bytes(packed[52:56], "little") + 4)] = damage.randrange(256)
        refusals += refused(resealed(bytes(body)))
    assert refusals > 150

import itertools
from math import prod

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pruning.coding.packed.huffman import count_symbols
from pruning.coding.packed.weight import possible_entries, read_weight, write_weight
from pruning.coding.packing import PackedTensor, describe, pack, size_formula_bytes, unpack, unpack_quantized
from pruning.coding.quantize import QuantizedWeight

SHAPES = [(0,), (4, 0, 3), (1,), (7,), (3, 5), (8, 4, 3, 3), (33, 65)]
PRUNED = [0.0, 0.3, 0.9, 0.999, 1.0]


def weight_of(
    shape: tuple[int, ...], bits: int, pruned: float, *, uniform: bool = False, used: int | None = None, seed: int = 0
) -> QuantizedWeight:
    """A weight whose codes are spread like a bell over the lowest `used` ones (all, unless told)."""
    random = torch.Generator().manual_seed(seed)
    used = used or 2**bits
    kept = torch.rand(shape, generator=random) >= pruned
    if pruned == 1.0 and kept.numel():
        kept.view(-1)[kept.numel() // 2] = True  # all but one
    bell = torch.randn(shape, generator=random) * used / 6 + used / 2
    codes = bell.clamp(0, used - 1).to(torch.uint8) * kept
    if not uniform:
        return QuantizedWeight(codes, kept, bits, centres_C=torch.randn(2**bits, generator=random))
    low_O, step_O = torch.randn(2, shape[0], generator=random).unbind()
    return QuantizedWeight(codes, kept, bits, low_O=low_O, step_O=step_O)


def same_bits(one: Tensor | None, other: Tensor | None) -> bool:
    """Equal in type, shape and every bit, not a number and −0 included."""
    if one is None or other is None:
        return one is other
    return (
        one.dtype == other.dtype
        and one.shape == other.shape
        and one.contiguous().numpy().tobytes() == other.contiguous().numpy().tobytes()
    )


def same_weight(one: QuantizedWeight, other: QuantizedWeight) -> bool:
    return one.bits == other.bits and all(
        same_bits(getattr(one, part), getattr(other, part))
        for part in ("codes", "kept", "centres_C", "low_O", "step_O")
    )


def index_bytes(data: bytes) -> int:
    return 52 + 4 + int.from_bytes(data[52:56], "little")


def small_network() -> tuple[dict[str, Tensor], dict[str, QuantizedWeight]]:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 32, 3), nn.Flatten(), nn.Linear(32, 8)
    )
    quantized = {
        "0.weight": weight_of((16, 3, 3, 3), 8, 0.0),
        "2.weight": weight_of((32, 16, 3, 3), 5, 0.75, uniform=True),
        "4.weight": weight_of((8, 32), 3, 0.95),
    }
    return network.state_dict(), quantized


@pytest.mark.parametrize("huffman", [False, True])
@pytest.mark.parametrize("pruned", PRUNED)
@pytest.mark.parametrize("bits", range(2, 9))
def test_every_weight_comes_back_to_the_bit(bits: int, pruned: float, huffman: bool) -> None:
    quantized = {
        f"{shape} {uniform}": weight_of(shape, bits, pruned, uniform=uniform, seed=bits)
        for shape, uniform in itertools.product(SHAPES, (False, True))
    }
    state = {name: torch.zeros(weight.codes.shape) for name, weight in quantized.items()}
    data = pack(state, quantized, huffman=huffman)
    read = unpack_quantized(data)
    assert list(read) == list(quantized)
    assert all(same_weight(read[name], weight) for name, weight in quantized.items())
    values = unpack(data)
    assert all(same_bits(values[name], weight.dequantize()) for name, weight in quantized.items())


@pytest.mark.parametrize("huffman", [False, True])
@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize("pruned", [0.0, 0.5, 0.999])
def test_many_blocks_come_back_to_the_bit(pruned: float, uniform: bool, huffman: bool) -> None:
    weight = weight_of((300, 1001), 6, pruned, uniform=uniform)
    data = pack({"w": torch.zeros(300, 1001)}, {"w": weight}, huffman=huffman)
    assert same_weight(unpack_quantized(data)["w"], weight)


@pytest.mark.parametrize("kept", [False, True])
def test_a_scalar_comes_back(kept: bool) -> None:
    weight = QuantizedWeight(torch.tensor(3 * kept, dtype=torch.uint8), torch.tensor(kept), 2, centres_C=torch.randn(4))
    assert same_weight(unpack_quantized(pack({"w": torch.zeros(())}, {"w": weight}))["w"], weight)


def test_other_tensors_come_back_to_the_bit_whatever_their_type() -> None:
    odd = torch.tensor([float("nan"), -0.0, float("inf"), 1e-45])
    state = {
        "transposed": torch.arange(6).reshape(2, 3).T,
        **{str(dtype): odd.to(dtype) for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)},
        **{
            str(dtype): torch.tensor([1, 0, 100]).to(dtype)
            for dtype in (torch.int8, torch.uint8, torch.int16, torch.bool)
        },
        **{
            str(dtype): torch.tensor(7, dtype=dtype) for dtype in (torch.int32, torch.int64, torch.uint16, torch.uint64)
        },
        "empty": torch.empty(3, 0, 2, dtype=torch.float64),
        "": nn.Parameter(torch.ones(1)).data,
        "größe\n": torch.zeros(1),
    }
    read = unpack(pack(state, {}))
    assert list(read) == list(state)
    for name, tensor in state.items():
        assert read[name].dtype == tensor.dtype
        assert read[name].shape == tensor.shape
        assert read[name].reshape(-1).view(torch.uint8).equal(tensor.contiguous().reshape(-1).view(torch.uint8))


@pytest.mark.parametrize("huffman", [False, True])
def test_a_whole_network_comes_back_in_order_and_loads(huffman: bool) -> None:
    state, quantized = small_network()
    read = unpack(pack(state, quantized, huffman=huffman))
    expected = {**state, **{name: weight.dequantize() for name, weight in quantized.items()}}
    assert list(read) == list(expected)
    assert all(same_bits(read[name], tensor) for name, tensor in expected.items())
    read["1.running_mean"].add_(1)  # the tensors are the caller's own


def test_equal_networks_give_equal_files() -> None:
    assert pack(*small_network(), huffman=True) == pack(*small_network(), huffman=True)


def test_an_empty_state_is_a_file_too() -> None:
    assert unpack(pack({}, {})) == {}


@pytest.mark.parametrize("huffman", [False, True])
def test_the_description_speaks_of_every_byte(huffman: bool) -> None:
    state, quantized = small_network()
    data = pack(state, quantized, huffman=huffman)
    table = describe(data)
    assert [row.name for row in table] == list(state)
    assert sum(row.size_bytes for row in table) == len(data) - index_bytes(data)
    assert table[0] == PackedTensor(
        name="0.weight",
        shape=(16, 3, 3, 3),
        bits=8,
        form="dense",
        huffman=False,  # tables would take more than they save
        position_bytes=0,
        code_bytes=432,
        codebook_bytes=1024,
        raw_bytes=0,
    )
    assert table[1] == PackedTensor("0.bias", (16,), None, "raw", False, 0, 0, 0, 64)


# form, bits, pruned, codes in use, huffman allowed
CHOICES = [
    ("dense", 5, 0.0, 32, False),
    ("dense", 5, 0.1, 31, False),  # zero gets the free code
    ("dense", 8, 0.3, 256, True),  # zero gets a 257th symbol, and a short word
    ("bitmap", 5, 0.5, 32, False),
    ("bitmap", 8, 0.3, 256, False),
    ("relative", 5, 0.9, 32, False),
    ("relative", 5, 0.999, 32, True),
]


@pytest.mark.parametrize(("form", "bits", "pruned", "used", "huffman"), CHOICES)
def test_each_form_is_chosen_where_it_is_the_smallest(
    form: str, bits: int, pruned: float, used: int, huffman: bool
) -> None:
    weight = weight_of((400, 500), bits, pruned, used=used)
    state = {"w": torch.zeros(400, 500)}
    (row,) = describe(pack(state, {"w": weight}, huffman=huffman))
    assert row.form == form
    written = []
    for entry in possible_entries("w", weight, huffman_allowed=huffman):
        packed = write_weight(entry, weight)
        assert tuple(map(len, packed.sections)) == entry.section_bytes
        assert same_weight(read_weight(entry, packed.sections), weight)
        written.append(sum(map(len, packed.sections)))
    assert row.size_bytes == min(written)
    assert len(written) == (2 if pruned <= 0.5 else 3)


@pytest.mark.parametrize("pruned", [0.0, 0.3, 0.9])
def test_huffman_never_makes_a_tensor_larger(pruned: float) -> None:
    for shape in [(3, 3), (20, 30), (300, 300)]:
        state, quantized = {"w": torch.zeros(shape)}, {"w": weight_of(shape, 5, pruned)}
        plain, coded = describe(pack(state, quantized))[0], describe(pack(state, quantized, huffman=True))[0]
        assert coded.size_bytes <= plain.size_bytes
        assert coded.huffman or coded == plain
        assert coded.huffman or shape != (300, 300)


def test_huffman_codes_of_a_weight_are_within_one_bit_of_their_entropy() -> None:
    weight = weight_of((500, 500), 6, 0.8)
    (row,) = describe(pack({"w": torch.zeros(500, 500)}, {"w": weight}, huffman=True))
    counts = count_symbols(weight.codes[weight.kept].numpy(), 64)
    shares = counts[counts > 0] / counts.sum()
    entropy_bytes = float(-(shares * np.log2(shares)).sum()) * int(counts.sum()) / 8
    tables_bytes = 32 + 2 * -(-int(counts.sum()) // 512)
    assert row.form == "relative"
    assert entropy_bytes <= row.code_bytes - tables_bytes <= entropy_bytes + int(counts.sum()) / 8


def test_the_papers_formula_counts_kept_codes_and_nothing_else_of_a_weight() -> None:
    kept = torch.tensor([[True, False, True], [True, True, False]])
    weight = QuantizedWeight(kept.to(torch.uint8), kept, 5, centres_C=torch.zeros(32))
    state = {"w": torch.zeros(2, 3), "bias": torch.zeros(2), "batches": torch.tensor(3)}
    # 6 elements · 4 bytes · (1 − 2/6) · 5/32 = 2.5 bytes, then 8 and 8
    assert size_formula_bytes(state, {"w": weight}) == 3 + 8 + 8


def test_the_file_is_larger_than_the_formula_by_what_the_formula_leaves_out() -> None:
    state, quantized = small_network()
    data = pack(state, quantized)
    extra = sum(row.position_bytes + row.codebook_bytes for row in describe(data))
    rounding = len(data) - index_bytes(data) - extra - size_formula_bytes(state, quantized)
    assert 0 <= rounding <= len(quantized)


def _changed(weight: QuantizedWeight, **parts: object) -> QuantizedWeight:
    return QuantizedWeight(**{**vars(weight), **parts})


GOOD = weight_of((4, 5), 3, 0.3)
BAD_WEIGHTS = [
    (_changed(GOOD, bits=9), "'w' has codes of 9 bits; it must be 2 to 8"),
    (_changed(GOOD, codes=torch.full((4, 5), 8, dtype=torch.uint8)), "'w' has the code 8; with 3 bits the most is 7"),
    (_changed(GOOD, codes=GOOD.codes + 1), "codes other than 0 where nothing is kept"),
    (_changed(GOOD, codes=GOOD.codes.long()), "it must be uint8 and bool of one shape"),
    (_changed(GOOD, kept=GOOD.kept[:3]), "it must be uint8 and bool of one shape"),
    (_changed(GOOD, centres_C=torch.zeros(7)), r"it must be float32 of shape \(8,\)"),
    (_changed(GOOD, centres_C=torch.zeros(8).double()), r"it must be float32 of shape \(8,\)"),
    (_changed(GOOD, centres_C=None), "either centres_C or both low_O and step_O"),
    (_changed(GOOD, low_O=torch.zeros(4)), "either centres_C or both low_O and step_O"),
    (_changed(GOOD, centres_C=None, low_O=torch.zeros(4)), "either centres_C or both low_O and step_O"),
    (
        _changed(GOOD, centres_C=None, low_O=torch.zeros(4), step_O=torch.zeros(5)),
        r"it must be float32 of shape \(4,\)",
    ),
    (
        QuantizedWeight(
            torch.tensor(0, dtype=torch.uint8), torch.tensor(True), 2, None, torch.zeros(1), torch.zeros(1)
        ),
        "'w' is a scalar",
    ),
]


@pytest.mark.parametrize(("weight", "says"), BAD_WEIGHTS)
def test_a_weight_that_contradicts_itself_is_refused(weight: QuantizedWeight, says: str) -> None:
    state = {"w": torch.zeros(weight.codes.shape)}
    for call in (pack, size_formula_bytes):
        with pytest.raises(ValueError, match=says):
            call(state, {"w": weight})


def test_a_weight_that_the_state_does_not_name_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"the state names no 'conv\.wieght'; nearest: 'conv\.weight'"):
        pack({"conv.weight": torch.zeros(4, 5), "fc.bias": torch.zeros(1)}, {"conv.wieght": GOOD})


def test_a_weight_of_another_shape_than_the_states_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'w' has codes of shape \(4, 5\), in the state \(5, 4\): they must agree"):
        pack({"w": torch.zeros(5, 4)}, {"w": GOOD})


def test_a_type_that_the_format_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="'phase' is of type 'complex64'; it must be one of bool, uint8"):
        pack({"phase": torch.zeros(2, dtype=torch.complex64)}, {})


def test_a_channels_last_weight_comes_back() -> None:
    weight = weight_of((8, 4, 3, 3), 4, 0.5)
    last = _changed(
        weight,
        codes=weight.codes.to(memory_format=torch.channels_last),
        kept=weight.kept.to(memory_format=torch.channels_last),
    )
    assert prod(last.codes.shape) == 288
    assert pack({"w": weight.dequantize()}, {"w": last}) == pack({"w": weight.dequantize()}, {"w": weight})

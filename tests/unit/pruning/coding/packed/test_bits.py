import numpy as np
import pytest

from pruning.coding.packed.bits import field_bytes, pack_fields, unpack_fields


@pytest.mark.parametrize("width", range(1, 17))
@pytest.mark.parametrize("count", [0, 1, 7, 8, 65_536, 65_537, 131_075])
def test_fields_come_back_in_as_few_bytes_as_can_be(width: int, count: int) -> None:
    values = np.random.default_rng(width).integers(0, 2**width, count).astype(np.uint16)
    data = pack_fields(values, width)
    assert len(data) == field_bytes(count, width) == (count * width + 7) // 8
    assert np.array_equal(unpack_fields(data, count, width), values)


def test_fields_stand_highest_bit_first() -> None:
    assert pack_fields(np.array([5, 0, 7], np.uint8), 3) == bytes.fromhex("A3 80")


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="8 does not fit into 3 bits; the most is 7"):
        pack_fields(np.array([1, 8], np.uint8), 3)


@pytest.mark.parametrize("length", [1, 3])
def test_data_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"3 fields of 3 bits take 2 bytes, got {length}"):
        unpack_fields(bytes(length), 3, 3)

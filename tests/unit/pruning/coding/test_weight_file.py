"""The predicted length of a weights file against files that safetensors writes."""

import random
from collections.abc import Mapping

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from pruning.coding.weight_file import Integers, WeightFile

RANKS = 4


def shapes_of(tensors: Mapping[str, Tensor]) -> Integers:
    return np.array([[*tensor.shape, *[1] * (RANKS - tensor.dim())] for tensor in tensors.values()], dtype=np.int64)


def predicted(described: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> int:
    """The length that a description of the first tensors gives for the shapes of the others."""
    return WeightFile.of(described, RANKS).size_bytes(shapes_of(tensors))


def written(tensors: Mapping[str, Tensor]) -> int:
    return len(safetensors.torch.save(dict(tensors)))


def test_the_length_is_that_of_the_file_of_a_real_network():
    network = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.Conv2d(64, 128, 3), nn.Linear(128, 10))
    assert predicted(network.state_dict(), network.state_dict()) == written(network.state_dict())


@pytest.mark.parametrize("width", [1, 9, 10, 11, 99, 100, 101, 999, 1000, 12345])
def test_numbers_that_gain_a_digit_are_counted(width):
    def of(count: int) -> dict[str, Tensor]:
        return {"a": torch.zeros(count, 2), "b": torch.zeros(count), "z": torch.zeros(3)}

    assert predicted(of(4), of(width)) == written(of(width))


def test_random_shapes_types_and_names_give_the_length_of_the_written_file():
    chance = random.Random(0)
    types = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool]
    for _ in range(50):
        names = ["x" * chance.randint(1, 30) + str(index) for index in range(chance.randint(1, 8))]
        kinds = {name: (chance.choice(types), chance.randint(0, RANKS)) for name in names}
        described, tensors = (
            {name: torch.zeros([chance.randint(1, 12) for _ in range(rank)], dtype=kind) for name, (kind, rank) in each}
            for each in (kinds.items(), kinds.items())
        )
        assert predicted(described, tensors) == written(tensors)


def test_the_order_in_which_tensors_are_given_does_not_matter():
    """The file orders them by type and name, and the digits of its offsets depend on that order."""
    tensors = {"small": torch.zeros(1), "large": torch.zeros(999), "codes": torch.zeros(50, dtype=torch.uint8)}
    turned = dict(reversed(tensors.items()))
    assert predicted(tensors, tensors) == predicted(turned, turned) == written(tensors)


def test_names_that_json_escapes_or_that_contain_each_other_are_counted_as_they_are_written():
    tensors = {name: torch.zeros(7, 11) for name in ("w", "ww", "w.weight", 'quoted"name', "back\\slash", "grün")}
    assert predicted(tensors, tensors) == written(tensors)


def test_a_scalar_has_no_axis_and_an_axis_may_be_empty():
    tensors = {"tracked": torch.tensor(5), "empty": torch.zeros(0, 3), "weight": torch.zeros(4, 3)}
    assert predicted(tensors, tensors) == written(tensors)


def test_describing_a_file_reads_no_value():
    huge = {"weight": torch.empty(10**6, 10**6, device="meta")}
    assert WeightFile.of(huge, RANKS).size_bytes(shapes_of(huge)) > 4 * 10**12

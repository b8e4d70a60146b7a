import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet18

from pruning.cost import Cost, cost_of, count_macs, count_parameters, macs_by_layer, size_bytes


def small_network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def test_parameters_are_counted_by_hand() -> None:
    assert count_parameters(small_network()) == (4 * 27 + 4) + (4 + 4) + (4 * 2 + 2)


def test_multiply_adds_are_counted_by_hand() -> None:
    # 10×10 in, 8×8 out: each of 4·64 outputs takes 27; the linear layer takes 4·2.
    assert count_macs(small_network(), torch.randn(1, 3, 10, 10)) == 4 * 64 * 27 + 8


def test_multiply_adds_grow_with_the_batch() -> None:
    network = small_network()
    assert count_macs(network, torch.randn(5, 3, 10, 10)) == 5 * count_macs(network, torch.randn(1, 3, 10, 10))


def test_multiply_adds_are_counted_layer_by_layer() -> None:
    assert macs_by_layer(small_network(), torch.randn(2, 3, 10, 10)) == {"0": 2 * 4 * 64 * 27, "4": 2 * 8}


def test_the_layers_multiply_adds_sum_to_the_networks() -> None:
    network = resnet18(weights=None)
    layers = macs_by_layer(network, torch.randn(1, 3, 64, 64))
    assert sum(layers.values()) == count_macs(network, torch.randn(1, 3, 64, 64))
    assert layers["layer2.0.downsample.0"] == 8 * 8 * 64 * 128
    assert len(layers) == 21


def test_a_layer_that_runs_twice_counts_twice_and_one_that_rests_not_at_all() -> None:
    class Repeating(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.busy, self.resting = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, images_NCHW: Tensor) -> Tensor:
            return self.busy(self.busy(images_NCHW))

    assert macs_by_layer(Repeating(), torch.randn(1, 3, 2, 2)) == {"busy": 2 * 4 * 9}


def test_a_lone_layer_has_no_name() -> None:
    assert macs_by_layer(nn.Conv2d(3, 3, 1), torch.randn(1, 3, 2, 2)) == {"": 4 * 9}


def test_resnet18_costs_what_is_published() -> None:
    cost = cost_of(resnet18(weights=None), torch.randn(1, 3, 224, 224))
    assert cost.parameters == 11_689_512
    assert cost.macs == 1_814_073_344  # 1.81 GMACs


def test_the_size_is_that_of_the_file_on_disk(tmp_path) -> None:
    network = resnet18(weights=None)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    assert size_bytes(network) == (tmp_path / "weights.safetensors").stat().st_size


def test_the_size_does_not_depend_on_the_memory_format() -> None:
    network = small_network()
    assert size_bytes(network.to(memory_format=torch.channels_last)) == size_bytes(small_network())


def test_counting_leaves_modes_and_statistics_alone() -> None:
    network = small_network().train()
    network[0].eval()
    before = network[1].running_mean.clone()
    count_macs(network, torch.randn(2, 3, 10, 10))
    assert network.training
    assert not network[0].training
    assert torch.equal(network[1].running_mean, before)


def test_a_cost_comes_back_from_json_and_refuses_nonsense() -> None:
    cost = Cost(parameters=3, macs=5, size_bytes=7)
    assert Cost.model_validate_json(cost.model_dump_json()) == cost
    with pytest.raises(ValueError, match="macs"):
        Cost(parameters=3, macs=-5, size_bytes=7)

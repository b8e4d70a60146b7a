"""Predicted cost against the cost of networks that are really cut."""

import pickle
import random
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import nn
from torchvision.models import DenseNet, mobilenet_v3_small, resnet18

from pruning.coding.packing import size_formula_bytes
from pruning.coding.phases import layer_bits
from pruning.coding.quantize import quantize_, quantized_weights
from pruning.coding.sparsity import coded_layers, hold_masks_, release_, share_mask
from pruning.cost import cost_of
from pruning.graph.groups import PrunableGroup, find_groups
from pruning.predicted_cost import CostModel
from pruning.schedule import Quantization, Schedule, Sparsity
from pruning.surgery import cut
from retrieval.networks.multiscale import MultiScale
from retrieval.networks.network import build_network
from retrieval.networks.whitening import Whitened, Whitening

EXAMPLE_NCHW = torch.zeros(1, 3, 64, 64)


def small_densenet() -> nn.Module:
    return DenseNet(growth_rate=8, block_config=(2, 2), num_init_features=16, num_classes=10)


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "vgg16": partial(build_network, "vgg16", pooling="gem"),
    "flatten": lambda: nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(256, 8)
    ),
    "resnet18": partial(resnet18, weights=None),
    "mobilenet_v2": partial(build_network, "mobilenet_v2", pooling="gem"),
    "mobilenet_v3": mobilenet_v3_small,
    "densenet": small_densenet,
    "netvlad": partial(build_network, "mini_resnet", pooling="netvlad"),
    "projection": partial(build_network, "mini_resnet", pooling="gem", descriptor_size=24),
    "reid": partial(build_network, "mini_resnet", classes=10),
}


def schedule_of(ratios: Mapping[str, float], **fields) -> Schedule:
    return Schedule(method="l1", ratios=ratios, epochs=1, learning_rate=0.1, **fields)


def random_schedule(groups: list[PrunableGroup], seed: int, **fields) -> Schedule:
    chance = random.Random(seed)
    return schedule_of({group.id: chance.uniform(0, 0.95) for group in groups if not group.locked}, **fields)


def really_cut(network: nn.Module, model: CostModel, schedule: Schedule, **fields) -> nn.Module:
    free = {group.id for group in model.groups if not group.locked}
    plan = {name: range(kept) for name, kept in model.widths(schedule).items() if name in free}
    return cut(network, plan, EXAMPLE_NCHW, **fields)


def assert_predicted(metrics: Mapping[str, float], small: nn.Module, dense: nn.Module) -> None:
    cost, whole = cost_of(small, EXAMPLE_NCHW), cost_of(dense, EXAMPLE_NCHW)
    assert metrics == {
        "parameters": cost.parameters,
        "macs": cost.macs,
        "size_bytes": cost.size_bytes,
        "mac_ratio": whole.macs / cost.macs,
        "compression": whole.size_bytes / cost.size_bytes,
    }


@pytest.fixture(scope="module")
def mini() -> tuple[nn.Module, list[PrunableGroup]]:
    network = build_network("mini_resnet", pooling="gem").eval()
    return network, find_groups(network, EXAMPLE_NCHW)


@pytest.mark.parametrize("name", NETWORKS)
def test_prediction_equals_the_count_of_the_really_cut_network_to_the_last_digit(name: str) -> None:
    network = NETWORKS[name]().eval()
    groups = find_groups(network, EXAMPLE_NCHW)
    model = CostModel.of(network, groups, EXAMPLE_NCHW)
    for seed in range(2):
        schedule = random_schedule(groups, seed, round_to=1 if seed else 8)
        assert_predicted(model.metrics(schedule), really_cut(network, model, schedule), network)


@pytest.mark.parametrize("ratio", [0.0, 0.95])
def test_the_ends_are_predicted_too(mini, ratio) -> None:
    network, groups = mini
    model = CostModel.of(network, groups, EXAMPLE_NCHW)
    schedule = schedule_of({group.id: ratio for group in groups if not group.locked})
    assert_predicted(model.metrics(schedule), really_cut(network, model, schedule), network)


@pytest.mark.parametrize("descriptor_size", [None, 24])
def test_scales_and_whitening_around_the_network_are_counted(descriptor_size) -> None:
    network = build_network("mini_resnet", pooling="gem", descriptor_size=descriptor_size).eval()
    groups = find_groups(network, EXAMPLE_NCHW)
    delivered = around(network)
    model = CostModel.of(network, groups, EXAMPLE_NCHW, delivered=delivered, prefix="network.network.")
    schedule = random_schedule(groups, 0)
    assert_predicted(model.metrics(schedule), around(really_cut(network, model, schedule)), delivered)


def test_a_whitening_shrinks_with_an_open_descriptor() -> None:
    network = build_network("mini_resnet", pooling="gem").eval()
    groups = find_groups(network, EXAMPLE_NCHW, open_descriptor=True)
    delivered = around(network)
    model = CostModel.of(network, groups, EXAMPLE_NCHW, delivered=delivered, prefix="network.network.")
    schedule = random_schedule(groups, 1, open_descriptor=True)
    small = really_cut(network, model, schedule, open_descriptor=True)
    assert descriptor_size(small) < descriptor_size(network)
    assert_predicted(model.metrics(schedule), around(small), delivered)


def test_a_classifier_that_is_not_delivered_is_not_counted() -> None:
    network = build_network("mini_resnet", classes=10).eval()
    groups = find_groups(network, EXAMPLE_NCHW)
    model = CostModel.of(network, groups, EXAMPLE_NCHW, delivered=without_classifier(network))
    schedule = random_schedule(groups, 2)
    small = without_classifier(really_cut(network, model, schedule))
    assert_predicted(model.metrics(schedule), small, without_classifier(network))


@pytest.mark.parametrize("share", [None, 0.37])
def test_coded_weights_are_counted_by_the_papers_formula(mini, share) -> None:
    network, groups = mini
    model = CostModel.of(network, groups, EXAMPLE_NCHW)
    quantization = Quantization(bits=5, group_bits={groups[0].id: 3, groups[2].id: 7})
    sparsity = None if share is None else Sparsity(share=share)
    schedule = random_schedule(groups, 3, sparsity=sparsity, quantization=quantization)
    small = really_cut(network, model, schedule)
    if share is not None:
        hold_masks_(small, {name: share_mask(layer.weight, share) for name, layer in coded_layers(small).items()})
    quantize_(small, layer_bits(small, groups, quantization), "kmeans")
    coded = quantized_weights(small)
    release_(small)
    metrics = model.metrics(schedule)
    weights = {f"{name}.weight" if f"{name}.weight" in small.state_dict() else name: w for name, w in coded.items()}
    assert metrics["size_bytes"] == size_formula_bytes(small.state_dict(), weights)
    assert metrics["compression"] == cost_of(network, EXAMPLE_NCHW).size_bytes / metrics["size_bytes"]
    assert metrics["parameters"] == cost_of(small, EXAMPLE_NCHW).parameters


def test_a_size_behind_a_threshold_is_not_guessed(mini) -> None:
    network, groups = mini
    model = CostModel.of(network, groups, EXAMPLE_NCHW)
    schedule = schedule_of({}, sparsity=Sparsity(threshold=0.01), quantization=Quantization())
    assert sorted(model.metrics(schedule)) == ["mac_ratio", "macs", "parameters"]


def test_locked_groups_keep_all_whatever_is_asked(mini) -> None:
    network, groups = mini
    locked = next(group for group in groups if group.locked)
    model = CostModel.of(network, groups, EXAMPLE_NCHW)
    assert model.widths(schedule_of({locked.id: 0.5}))[locked.id] == locked.width
    assert model.metrics(schedule_of({locked.id: 0.5}))["mac_ratio"] == 1.0


def test_a_group_of_another_network_is_refused(mini) -> None:
    network, groups = mini
    model = CostModel.of(network, groups, EXAMPLE_NCHW)
    with pytest.raises(ValueError, match=r"no group 'backbone\.layer9' in this network; nearest: 'backbone"):
        model.metrics(schedule_of({"backbone.layer9": 0.5}))


def test_weights_that_follow_channels_unseen_are_refused() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.PReLU(16), nn.Conv2d(16, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()
    groups = find_groups(network, EXAMPLE_NCHW)
    with pytest.raises(ValueError, match="Sequential cannot be predicted from its widths"):
        CostModel.of(network, groups, EXAMPLE_NCHW)


def test_a_smaller_probe_gives_the_same_model_and_the_network_stays_as_it_was(mini) -> None:
    network, groups = mini
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    probed = CostModel.of(network, groups, EXAMPLE_NCHW, probe_NCHW=torch.zeros(1, 3, 32, 32))
    assert network.training
    network.eval()
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    schedule = random_schedule(groups, 5)
    assert probed.metrics(schedule) == CostModel.of(network, groups, EXAMPLE_NCHW).metrics(schedule)


def test_a_model_travels_and_answers_within_a_millisecond() -> None:
    network = resnet18(weights=None).eval()
    groups = find_groups(network, EXAMPLE_NCHW)
    model = CostModel.of(network, groups, EXAMPLE_NCHW)
    travelled = pickle.loads(pickle.dumps(model))
    schedules = [random_schedule(groups, seed) for seed in range(20)]
    assert [travelled.metrics(schedule) for schedule in schedules] == [
        model.metrics(schedule) for schedule in schedules
    ]
    seconds = []
    for schedule in schedules:
        start = time.perf_counter()
        model.metrics(schedule)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1e-3


def around(network: nn.Module) -> nn.Module:
    """At two scales, and with a whitening of the descriptor's own size behind it."""
    size = descriptor_size(network)
    return Whitened(MultiScale(network, (1.0, 0.5)), Whitening(torch.zeros(size), torch.eye(size))).eval()


def descriptor_size(network: nn.Module) -> int:
    with torch.no_grad():
        return network(EXAMPLE_NCHW).shape[1]


def without_classifier(network: nn.Module) -> nn.Module:
    delivered = deepcopy(network)
    delivered.classifier = nn.Identity()
    return delivered

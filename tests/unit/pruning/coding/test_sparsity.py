import math
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from pruning.coding.sparsity import (
    coded_layers,
    hold_masks_,
    l1_penalty,
    magnitude_mask,
    pruned_share,
    release_,
    share_mask,
)

IMAGES_NCHW = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(7))


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, groups=4, bias=False),
        nn.ConvTranspose2d(4, 2, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 5),
    )


def random_masks(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: layer.weight.shape for name, layer in coded_layers(network).items()}
    return {name: torch.rand(shape, generator=generator) < 0.6 for name, shape in shapes.items()}


def train_(network: nn.Module, steps: int = 3) -> None:
    """Momentum and weight decay: both move weights that have no gradient."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        network(IMAGES_NCHW).square().sum().backward()
        optimizer.step()


def test_coded_layers_are_all_convolutions_and_linear_layers_in_network_order() -> None:
    assert list(coded_layers(small_network())) == ["0", "3", "4", "7"]
    assert list(coded_layers(nn.Linear(2, 2))) == [""]


def test_the_threshold_itself_is_kept() -> None:
    weight = torch.tensor([[0.3, -0.1, 0.2], [-0.2, 0.0, -0.5]])
    expected = torch.tensor([[True, False, True], [True, False, True]])
    assert torch.equal(magnitude_mask(weight, 0.2), expected)


def test_threshold_0_keeps_everything() -> None:
    assert magnitude_mask(torch.zeros(2, 2), 0.0).all()


def test_of_equal_weights_the_lowest_index_goes_first() -> None:
    weight = torch.tensor([[0.2, -0.1, 0.2], [0.4, -0.2, 0.2]])
    # floor(0.5 · 6) = 3: the 0.1, then two of the four that are 0.2 in size.
    assert share_mask(weight, 0.5).tolist() == [[False, False, False], [True, True, True]]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.29, 0.5, 0.9, 0.999, math.nextafter(1, 0)])
@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_share_mask_equals_a_sort_of_all_weights(share: float, levels: int) -> None:
    generator = torch.Generator().manual_seed(levels)
    weight = torch.randint(-levels, levels, (10, 5, 2), generator=generator).float()
    sizes = weight.abs().flatten().tolist()
    count = min(math.floor(round(share * 100, 6)), 99)
    removed = sorted(range(100), key=lambda i: (sizes[i], i))[:count]
    assert (~share_mask(weight, share)).flatten().nonzero().flatten().tolist() == sorted(removed)


def test_a_share_written_in_decimals_means_that_many() -> None:
    # 0.29 · 100 is 28.999999999999996 in binary.
    assert int((~share_mask(torch.randn(100), 0.29)).sum()) == 29


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0, math.nan])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=rf"share is {share}; it must be in \[0, 1\)"):
        share_mask(torch.ones(3), share)


@pytest.mark.parametrize("threshold", [-0.1, math.nan])
def test_a_threshold_below_0_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=f"threshold is {threshold}; it must be at least 0"):
        magnitude_mask(torch.ones(3), threshold)


def test_a_threshold_that_keeps_nothing_is_refused_with_the_largest_weight() -> None:
    with pytest.raises(ValueError, match=r"threshold 3\.0 keeps no weight: the largest \|w\| is 2\.5"):
        magnitude_mask(torch.tensor([1.0, -2.5]), 3.0)


@pytest.mark.parametrize("mask", [lambda weight: magnitude_mask(weight, 0.1), lambda weight: share_mask(weight, 0.5)])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(mask, value: float) -> None:
    with pytest.raises(ValueError, match=f"1 of 3 are not: the first is {value}"):
        mask(torch.tensor([1.0, value, 2.0]))
    with pytest.raises(ValueError, match=r"at least one weight, got shape \(0,\)"):
        mask(torch.ones(0))


def test_the_penalty_sums_absolute_weights_without_biases_and_norms() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    network[0].weight.data = torch.tensor([[1.0, -2.0], [0.5, 0.0]])
    network[2].weight.data = torch.tensor([[-3.0, 0.25]])
    penalty = l1_penalty(network)
    assert penalty.item() == 6.75
    penalty.backward()
    assert network[0].weight.grad.tolist() == [[1.0, -1.0], [1.0, 0.0]]
    assert network[0].bias.grad is None
    assert network[1].weight.grad is None


def test_a_network_without_coded_layers_has_penalty_0_and_no_share() -> None:
    assert l1_penalty(nn.ReLU()).item() == 0
    with pytest.raises(ValueError, match="ReLU has no convolution or linear layer"):
        pruned_share(nn.ReLU())


def test_pruned_share_counts_zeros_among_the_coded_weights_only() -> None:
    network = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2), nn.Linear(2, 1, bias=False))
    assert pruned_share(network) == 0.0
    masks = {"0": torch.tensor([[True, False, False, False], [True, True, True, True]])}
    hold_masks_(network, masks)
    assert pruned_share(network) == 3 / 10


def test_pruned_weights_stay_zero_and_the_others_learn() -> None:
    network = small_network()
    masks = random_masks(network)
    hold_masks_(network, masks)
    before = {name: layer.weight.detach().clone() for name, layer in coded_layers(network).items()}
    train_(network)
    for name, layer in coded_layers(network).items():
        assert not layer.weight[~masks[name]].any()
        assert (layer.weight != before[name])[masks[name]].any()


def test_kept_weights_train_as_if_pruned_ones_were_set_to_zero_after_each_step() -> None:
    network, plain = small_network(), small_network()
    masks = random_masks(network)
    hold_masks_(network, masks)

    def zero_pruned_() -> None:
        for name, layer in coded_layers(plain).items():
            layer.weight.data[~masks[name]] = 0.0

    zero_pruned_()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        plain(IMAGES_NCHW).square().sum().backward()
        optimizer.step()
        zero_pruned_()
    train_(network)
    for name, layer in coded_layers(network).items():
        torch.testing.assert_close(layer.weight, plain.get_submodule(name).weight, rtol=0, atol=1e-6)


def test_new_masks_replace_old_ones_and_a_revived_weight_starts_at_zero() -> None:
    layer = nn.Linear(3, 1, bias=False)
    layer.weight.data = torch.tensor([[1.0, 2.0, 3.0]])
    hold_masks_(layer, {"": torch.tensor([[False, True, True]])})
    hold_masks_(layer, {"": torch.tensor([[True, True, False]])})
    assert layer.weight.tolist() == [[0.0, 2.0, 0.0]]
    assert len(list(layer.parametrizations["weight"])) == 1
    layer(torch.ones(1, 3)).backward()
    torch.optim.SGD(layer.parameters(), lr=0.5).step()
    assert layer.weight.tolist() == [[-0.5, 1.5, 0.0]]


def test_the_mask_is_a_copy_of_the_callers() -> None:
    network = small_network()
    masks = random_masks(network)
    hold_masks_(network, masks)
    pruned = pruned_share(network)
    for mask in masks.values():
        mask.fill_(True)
    assert pruned_share(network) == pruned > 0


def test_release_leaves_plain_weights_names_and_order() -> None:
    network, plain = small_network(), small_network()
    hold_masks_(network, random_masks(network))
    train_(network)
    expected = {name: layer.weight.detach().clone() for name, layer in coded_layers(network).items()}
    outputs = network(IMAGES_NCHW)
    release_(network)
    assert list(network.state_dict()) == list(plain.state_dict())
    names = [name for name, _ in network.named_parameters()]
    assert names == [name for name, _ in plain.named_parameters()]
    assert [type(module) for module in network.modules()] == [type(module) for module in plain.modules()]
    assert all(torch.equal(network.get_submodule(name).weight, weight) for name, weight in expected.items())
    torch.testing.assert_close(network(IMAGES_NCHW), outputs)
    train_(network)


def test_release_of_a_plain_network_changes_nothing() -> None:
    network = small_network()
    before = deepcopy(network.state_dict())
    release_(network)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_masked_network_can_be_copied_and_its_state_loaded() -> None:
    network, fresh = small_network(), small_network()
    hold_masks_(network, random_masks(network, seed=1))
    hold_masks_(fresh, random_masks(fresh, seed=2))
    train_(network)
    copied = deepcopy(network).eval()
    fresh.load_state_dict(network.state_dict())
    expected = network.eval()(IMAGES_NCHW)
    assert torch.equal(copied(IMAGES_NCHW), expected)
    assert torch.equal(fresh.eval()(IMAGES_NCHW), expected)
    train_(copied)
    assert torch.equal(network(IMAGES_NCHW), expected)


def test_releasing_a_copy_leaves_the_original_masked() -> None:
    network = small_network()
    hold_masks_(network, random_masks(network))
    expected = network.eval()(IMAGES_NCHW)
    copied = deepcopy(network)
    twice = deepcopy(copied)
    release_(copied)
    release_(twice)
    assert torch.equal(network(IMAGES_NCHW), expected)
    assert torch.equal(copied(IMAGES_NCHW), expected)
    hold_masks_(copied, random_masks(network, seed=3))
    release_(network)
    assert torch.equal(network(IMAGES_NCHW), expected)
    assert torch.equal(copied[0].weight == 0, ~random_masks(network, seed=3)["0"] | (network[0].weight == 0))


def test_frozen_weights_stay_frozen() -> None:
    network = small_network()
    network[0].weight.requires_grad_(False)
    hold_masks_(network, random_masks(network))
    assert not network[0].weight.requires_grad
    release_(network)
    assert not network[0].weight.requires_grad
    assert network[3].weight.requires_grad


@pytest.mark.parametrize(
    ("name", "mask", "complaint"),
    [
        ("33", torch.ones(2, 2, dtype=torch.bool), "no convolution or linear layer is called '33'; nearest: '3'"),
        ("7", torch.ones(2, 5, dtype=torch.bool), r"of shape \(2, 5\); it must be bool of shape \(5, 2\)"),
        ("7", torch.ones(5, 2), r"mask of '7' is torch\.float32"),
        ("7", torch.zeros(5, 2, dtype=torch.bool), "mask of '7' keeps none of 10 weights"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_and_no_other_is_held(name: str, mask: Tensor, complaint: str) -> None:
    network = small_network()
    first = torch.zeros(4, 3, 3, 3, dtype=torch.bool)
    first[0] = True
    with pytest.raises(ValueError, match=complaint):
        hold_masks_(network, {"0": first, name: mask})
    assert pruned_share(network) == 0


def test_a_weight_parametrized_by_others_is_refused_and_never_released() -> None:
    network = nn.Sequential(parametrizations.weight_norm(nn.Linear(2, 2)))
    with pytest.raises(ValueError, match="the weight of '0' is parametrized by others"):
        hold_masks_(network, {"0": torch.eye(2, dtype=torch.bool)})
    release_(network)
    assert "0.parametrizations.weight.original0" in network.state_dict()

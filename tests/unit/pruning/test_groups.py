from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import mobilenet_v2, resnet18, resnet50, shufflenet_v2_x0_5

from pruning.groups import PrunableGroup, filters_of, find_groups, kept_count

EXAMPLE_NCHW = torch.randn(1, 3, 32, 32)


class NetVlad(nn.Module):
    """Assigns local features to clusters: matrix products that a graph of elementwise steps cannot follow."""

    def __init__(self, residuals: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3))
        self.assign = nn.Conv2d(16, 4, 1)
        self.centres_KD = nn.Parameter(torch.randn(4, 16))
        self.residuals = residuals

    def forward(self, images_NCHW: Tensor) -> Tensor:
        local_NDHW = self.features(images_NCHW)
        share_NKP = self.assign(local_NDHW).flatten(2).softmax(dim=1)
        summed_NKD = self.residuals(share_NKP, local_NDHW.flatten(2), self.centres_KD)
        return F.normalize(summed_NKD.flatten(1), dim=1)


def by_product(share_NKP: Tensor, local_NDP: Tensor, centres_KD: Tensor) -> Tensor:
    return torch.bmm(share_NKP, local_NDP.transpose(1, 2)) - share_NKP.sum(-1)[..., None] * centres_KD


def by_einsum(share_NKP: Tensor, local_NDP: Tensor, centres_KD: Tensor) -> Tensor:
    return torch.einsum("nkp,ndp->nkd", share_NKP, local_NDP) - share_NKP.sum(-1)[..., None] * centres_KD


def by_broadcast(share_NKP: Tensor, local_NDP: Tensor, centres_KD: Tensor) -> Tensor:
    return ((local_NDP[:, None] - centres_KD[None, :, :, None]) * share_NKP[:, :, None]).sum(-1)


def plain(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))


@pytest.mark.parametrize(
    ("architecture", "convolutions", "groups"), [(resnet18, 20, 12), (resnet50, 53, 37), (mobilenet_v2, 52, 25)]
)
def test_convolutions_fall_into_their_independent_groups(
    architecture: Callable[..., nn.Module], convolutions: int, groups: int
) -> None:
    found = find_groups(architecture(weights=None), EXAMPLE_NCHW)
    members = [member for group in found for member in group.members]
    assert (len(found), len(members), len(set(members))) == (groups, convolutions, convolutions)


def test_a_residual_stage_is_one_group_with_its_shortcut() -> None:
    found = {group.id: group for group in find_groups(resnet18(weights=None), EXAMPLE_NCHW)}
    assert found["layer2.0.conv2"] == PrunableGroup(
        id="layer2.0.conv2",
        members=("layer2.0.conv2", "layer2.0.downsample.0", "layer2.1.conv2"),
        norms=("layer2.0.bn2", "layer2.0.downsample.1", "layer2.1.bn2"),
        norm_starts=(0, 0, 0),
        width=128,
        locked=False,
    )


def test_a_depthwise_convolution_belongs_to_the_group_it_filters() -> None:
    found = {group.id: group for group in find_groups(mobilenet_v2(weights=None), EXAMPLE_NCHW)}
    assert found["features.2.conv.0.0"].members == ("features.2.conv.0.0", "features.2.conv.1.0")


def test_groups_come_in_network_order_every_time() -> None:
    network = resnet18(weights=None)
    first = find_groups(network, EXAMPLE_NCHW)
    names = [name for name, _ in network.named_modules()]
    assert [group.id for group in first] == sorted((group.id for group in first), key=names.index)
    assert find_groups(network, torch.zeros(2, 3, 32, 32)) == first


def test_finding_groups_changes_nothing_in_the_network() -> None:
    network = resnet18(weights=None).train()
    network.layer1.eval()
    network.conv1.weight.requires_grad_(False)
    modes = [module.training for module in network.modules()]
    state = deepcopy(network.state_dict())
    with torch.inference_mode():
        find_groups(network, torch.randn(1, 3, 32, 32))
    assert [module.training for module in network.modules()] == modes
    assert not network.conv1.weight.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_frozen_layers_are_found_too() -> None:
    frozen = resnet18(weights=None).requires_grad_(False)
    assert len(find_groups(frozen, EXAMPLE_NCHW)) == 12


def test_the_group_that_fixes_the_descriptor_is_locked() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert [(group.id, group.locked) for group in find_groups(network, EXAMPLE_NCHW)] == [("0", False), ("2", True)]


def test_a_linear_head_sets_the_last_convolution_free() -> None:
    network = plain(nn.Conv2d(3, 16, 3))
    assert [(group.id, group.locked) for group in find_groups(network, EXAMPLE_NCHW)] == [("0", False)]


@pytest.mark.parametrize("residuals", [by_product, by_einsum, by_broadcast])
def test_channels_that_enter_netvlad_are_locked(residuals: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    found = find_groups(NetVlad(residuals), EXAMPLE_NCHW)
    assert [(group.id, group.width, group.locked) for group in found] == [
        ("features.0", 8, False),
        ("features.3", 16, True),
        ("assign", 4, True),
    ]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(16, 16, 3, groups=4),
        nn.GroupNorm(4, 16),
        nn.BatchNorm2d(16, affine=False),
        nn.Sequential(nn.Conv2d(16, 32, 3, groups=16), nn.Conv2d(32, 16, 1)),
    ],
    ids=["grouped convolution", "group norm", "norm without scale", "depthwise multiplier"],
)
def test_channels_that_cannot_go_one_by_one_are_locked(layer: nn.Module) -> None:
    assert find_groups(plain(nn.Conv2d(3, 16, 3), layer), EXAMPLE_NCHW)[0].locked


def test_a_network_that_shuffles_channels_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="channels of ShuffleNetV2 cannot be traced: ZeroDivisionError"):
        find_groups(shufflenet_v2_x0_5(weights=None), EXAMPLE_NCHW)


def test_a_network_without_convolutions_is_refused() -> None:
    with pytest.raises(ValueError, match="Sequential has no convolution"):
        find_groups(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)), EXAMPLE_NCHW)


def test_a_convolution_that_the_example_does_not_reach_is_refused_by_name() -> None:
    network = plain(nn.Conv2d(3, 16, 3))
    network[0].register_module("auxiliary", nn.Conv2d(3, 3, 1))
    with pytest.raises(ValueError, match=r"misses the convolutions 0\.auxiliary"):
        find_groups(network, EXAMPLE_NCHW)


def test_an_example_that_is_no_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be N×C×H×W, got shape \(3, 32, 32\)"):
        find_groups(resnet18(weights=None), EXAMPLE_NCHW[0])


def test_filters_are_the_rows_of_all_members_side_by_side() -> None:
    network = resnet18(weights=None)
    group = next(group for group in find_groups(network, EXAMPLE_NCHW) if group.id == "layer2.0.conv2")
    filters_OD = filters_of(network, group)
    assert filters_OD.shape == (128, 128 * 9 + 64 + 128 * 9)
    assert torch.equal(filters_OD[5, 128 * 9 : 128 * 9 + 64], network.layer2[0].downsample[0].weight[5].flatten())
    assert not filters_OD.requires_grad


def test_filters_of_one_layer_are_a_copy() -> None:
    network = plain(nn.Conv2d(3, 16, 3))
    [group] = find_groups(network, EXAMPLE_NCHW)
    filters_of(network, group).zero_()
    assert int(network[0].weight.count_nonzero()) == network[0].weight.numel()


@pytest.mark.parametrize(
    ("width", "ratio", "round_to", "kept"),
    [
        (64, 0.0, 8, 64),
        (64, 0.5, 8, 32),
        (64, 0.3, 8, 48),  # 64 − 19 = 45, nearer to 48 than to 40
        (64, 0.32, 8, 48),  # 64 − 20 = 44, halfway: up
        (64, 0.33, 8, 40),  # 64 − 21 = 43
        (64, 0.99, 8, 8),  # at least one multiple
        (64, 0.02, 8, 64),
        (20, 0.0, 8, 20),
        (20, 0.05, 8, 16),  # 20 − 1 = 19, nearer to 16 than to 24
        (23, 0.05, 8, 23),  # 22, nearest 24: never above the width
        (100, 0.29, 1, 71),  # 0.29 · 100 is 28.999… in binary
        (4, 0.5, 8, 2),  # no multiple of 8 to go to
        (1, 0.9, 8, 1),
        (64, 0.5, 1, 32),
    ],
)
def test_kept_counts_are_the_papers_aligned(width: int, ratio: float, round_to: int, kept: int) -> None:
    assert kept_count(width, ratio, round_to) == kept


@pytest.mark.parametrize(
    ("width", "ratio", "round_to", "complaint"),
    [
        (64, 1.0, 8, r"ratio is 1\.0"),
        (64, -0.1, 8, r"ratio is -0\.1"),
        (64, float("nan"), 8, "ratio is nan"),
        (0, 0.5, 8, "got 0 and 8"),
        (64, 0.5, 0, "got 64 and 0"),
    ],
)
def test_a_kept_count_of_nonsense_is_refused(width: int, ratio: float, round_to: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        kept_count(width, ratio, round_to)

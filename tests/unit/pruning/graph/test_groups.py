from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import alexnet, mobilenet_v2, mobilenet_v3_small, resnet18, resnet50, shufflenet_v2_x0_5

from pruning.graph.groups import PrunableGroup, filters_of, find_groups

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


class ReId(nn.Module):
    """A descriptor behind a BatchNorm neck, and a classifier that only training looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16))
        self.neck = nn.BatchNorm1d(16)
        self.classifier = nn.Linear(16, 5, bias=False)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        return self.all_outputs(images_NCHW)[0]

    def all_outputs(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        features_ND = self.neck(self.features(images_NCHW).mean((-2, -1)))
        return F.normalize(features_ND, dim=1), self.classifier(features_ND)


class Gated(nn.Module):
    """Two layers multiplied, as in squeeze-and-excitation, and then added to a third when there is a shortcut."""

    def __init__(self, shortcut: bool) -> None:
        super().__init__()
        self.inner = nn.Conv2d(3, 8, 3, padding=1)
        self.gate = nn.Conv2d(8, 8, 1)
        self.shortcut = nn.Conv2d(3, 8, 1) if shortcut else None
        self.head = nn.Linear(8, 4)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        inner_NCHW = self.inner(images_NCHW)
        x_NCHW = inner_NCHW * self.gate(inner_NCHW.mean((-2, -1), keepdim=True)).sigmoid()
        if self.shortcut:
            x_NCHW = x_NCHW + self.shortcut(images_NCHW)
        return self.head(x_NCHW.mean((-2, -1)))


class Taking(nn.Module):
    """Hands parts of a feature map, taken by their place, to different layers."""

    def __init__(self, take: Callable[[Tensor], tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 16, 3)
        self.take = take
        self.low, self.high = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)
        self.head = nn.Linear(4, 2)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        low_NCHW, high_NCHW = self.take(self.features(images_NCHW))
        return self.head((self.low(low_NCHW) + self.high(high_NCHW)).mean((-2, -1)))


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
        residual=True,
        resolution=2,
        readers=("layer2.1.conv1", "layer3.0.conv1", "layer3.0.downsample.0"),
        reader_spans=(1, 1, 1),
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


class Ending(nn.Module):
    """Two convolutions and an end."""

    def __init__(self, end: Callable[[Tensor], Tensor | tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 3)
        self.neck = nn.BatchNorm1d(16)
        self.end = end

    def forward(self, images_NCHW: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.end(self.last(self.first(images_NCHW).relu()))


@pytest.mark.parametrize(
    "end",
    [
        lambda x: x,
        lambda x: x.mean((-2, -1)),
        lambda x: F.normalize(x.clamp(min=1e-6).pow(3).mean((-2, -1)).pow(1 / 3), dim=1),
        lambda x: F.normalize(x.amax((-2, -1), keepdim=True).flatten(1), dim=1),
        lambda x: x.amax((-2, -1), keepdim=True).flatten(1),
        lambda x: (x.mean((-2, -1)), x),
    ],
    ids=["map", "mean", "gem", "max", "flattened", "two outputs"],
)
def test_the_descriptors_group_can_be_opened(end: Callable[[Tensor], Tensor]) -> None:
    closed, opened = (find_groups(Ending(end), EXAMPLE_NCHW, open_descriptor=choice)[1] for choice in (False, True))
    assert (closed.id, closed.descriptor, closed.locked) == ("last", True, True)
    assert (opened.id, opened.descriptor, opened.locked) == ("last", True, False)


def test_a_norm_that_ends_the_network_writes_the_descriptor() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(8))
    [group] = find_groups(network, EXAMPLE_NCHW)
    assert (group.descriptor, group.locked, group.norms) == (True, True, ("3",))


def test_two_groups_side_by_side_are_one_descriptor() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 6, 1)

        def forward(self, images_NCHW: Tensor) -> Tensor:
            sides = [side(images_NCHW).mean((-2, -1)) for side in (self.left, self.right)]
            return F.normalize(torch.cat(sides, dim=1), dim=1)

    found = find_groups(Pair(), EXAMPLE_NCHW, open_descriptor=True)
    assert [(group.id, group.descriptor, group.locked) for group in found] == [
        ("left", True, False),
        ("right", True, False),
    ]


@pytest.mark.parametrize(
    "end",
    [
        lambda x: x.flatten(1),
        lambda x: F.normalize(x.flatten(1), dim=1),
        lambda x: x.mean((-2, -1)).softmax(dim=1),
        lambda x: torch.cat([x, x], dim=1).mean((-2, -1)),
        lambda x: x.mean((-2, -1))[:, :8],
    ],
    ids=["flattened map", "normalised flattened map", "softmax", "twice", "half of it"],
)
def test_a_group_that_is_no_column_of_the_output_stays_locked(end: Callable[[Tensor], Tensor]) -> None:
    found = find_groups(Ending(end), EXAMPLE_NCHW, open_descriptor=True)
    assert [group.locked for group in found] == [False, True]


def test_what_only_a_further_output_shows_stays_locked() -> None:
    class TwoOutputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 16, 3)

        def forward(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
            maps_NCHW = self.first(images_NCHW)
            return self.last(maps_NCHW).mean((-2, -1)), maps_NCHW

    found = find_groups(TwoOutputs(), EXAMPLE_NCHW, open_descriptor=True)
    assert [(group.id, group.descriptor, group.locked) for group in found] == [
        ("first", False, True),
        ("last", True, False),
    ]


def test_a_classifier_outside_of_forward_reads_the_descriptor() -> None:
    group = find_groups(ReId(), EXAMPLE_NCHW, open_descriptor=True)[1]
    assert (group.id, group.descriptor, group.locked) == ("features.2", True, False)
    assert (group.norms, group.readers) == (("features.3", "neck"), ("classifier",))


@pytest.mark.parametrize(
    ("architecture", "residual"),
    [
        (resnet18, {"conv1", "layer2.0.conv2", "layer3.0.conv2", "layer4.0.conv2"}),
        (mobilenet_v2, {f"features.{block}.conv.2" for block in (2, 4, 7, 11, 14)}),
        # Blocks with gates, all of them: only those that stay at their resolution add.
        (
            mobilenet_v3_small,
            {"features.2.block.2.0", "features.4.block.3.0", "features.7.block.3.0", "features.9.block.3.0"},
        ),
        (alexnet, set()),
    ],
)
def test_only_shortcuts_make_a_group_residual(architecture: Callable[..., nn.Module], residual: set[str]) -> None:
    found = find_groups(architecture(weights=None), torch.zeros(1, 3, 64, 64))
    assert {group.id for group in found if group.residual} == residual


@pytest.mark.parametrize("shortcut", [False, True])
def test_a_product_is_no_residual_but_its_sum_with_a_shortcut_is(shortcut: bool) -> None:
    [group] = find_groups(Gated(shortcut), EXAMPLE_NCHW)
    assert group.members == ("inner", "gate", "shortcut")[: 2 + shortcut]
    assert group.residual == shortcut


def test_stages_are_runs_of_equal_resolution() -> None:
    found = find_groups(resnet18(weights=None), torch.zeros(1, 3, 64, 64))
    # The stem runs at twice the resolution of the first blocks, and ends in them.
    assert {group.id.partition(".")[0]: group.resolution for group in found} == {
        "conv1": 1,
        "layer1": 1,
        "layer2": 2,
        "layer3": 3,
        "layer4": 4,
    }


def test_a_gate_belongs_to_the_stage_that_it_gates() -> None:
    stages = {
        group.id: group.resolution
        for group in find_groups(mobilenet_v3_small(weights=None), EXAMPLE_NCHW.repeat(1, 1, 2, 2))
    }
    assert stages["features.4.block.2.fc1"] == stages["features.4.block.0.0"] == stages["features.4.block.3.0"] == 3


def test_readers_behind_a_flatten_read_a_channel_at_every_position() -> None:
    found = {group.id: group for group in find_groups(alexnet(weights=None), torch.zeros(1, 3, 64, 64))}
    assert (found["features.10"].readers, found["features.10"].reader_spans) == (("classifier.1",), (36,))
    assert (found["features.0"].readers, found["features.0"].reader_spans) == (("features.3",), (1,))


def test_a_depthwise_convolution_is_no_reader() -> None:
    found = {group.id: group for group in find_groups(mobilenet_v2(weights=None), EXAMPLE_NCHW)}
    assert found["features.2.conv.0.0"].readers == ("features.2.conv.2",)


@pytest.mark.parametrize(
    "take",
    [
        lambda x: x.chunk(2, dim=1),
        lambda x: x.split([8, 8], dim=-3),
        lambda x: (x[:, :8], x[:, 8:]),
        lambda x: (x[:, ::2], x[:, 1::2]),
        lambda x: (x[:, :8] + x[:, 3:4], x[:, 8:] + x[:, 5, None]),
        lambda x: (torch.stack(x.unbind(1)[:8], 1), torch.stack(x.unbind(1)[8:], 1)),
    ],
    ids=["chunk", "split", "slices", "steps", "selected", "unbound"],
)
def test_channels_that_are_taken_by_their_place_are_locked(take: Callable[[Tensor], tuple[Tensor, ...]]) -> None:
    groups = {group.id: group for group in find_groups(Taking(take), EXAMPLE_NCHW)}
    assert groups["features"].locked
    assert not groups["low"].locked


def test_positions_may_be_taken_by_their_place() -> None:
    network = nn.Sequential(nn.Conv2d(3, 16, 3), Crop(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))
    assert [group.locked for group in find_groups(network, EXAMPLE_NCHW)] == [False]


class Crop(nn.Module):
    def forward(self, x_NCHW: Tensor) -> Tensor:
        left_NCHW, right_NCHW = x_NCHW[:, :, 1:-1, 2:].chunk(2, dim=3)
        return left_NCHW + right_NCHW


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


def test_channels_on_their_way_into_netvlad_are_not_multiplied() -> None:
    # Its output is 4 · 16 long, and the library would take the flattening of positions for that of channels.
    group = find_groups(NetVlad(by_product), EXAMPLE_NCHW)[1]
    assert (group.readers, group.reader_spans) == (("assign",), (1,))


def test_a_network_that_shuffles_channels_is_refused_by_the_module_that_does() -> None:
    with pytest.raises(ValueError, match=r"channels of ShuffleNetV2 cannot be traced: 'stage2\.0' puts them"):
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


@pytest.mark.parametrize(("value", "called"), [(float("nan"), "NaN"), (float("-inf"), "infinity")])
def test_weights_that_are_not_finite_are_refused_by_layer(value: float, called: str) -> None:
    network = resnet18(weights=None)
    group = next(group for group in find_groups(network, EXAMPLE_NCHW) if group.id == "layer1.0.conv1")
    with torch.no_grad():
        network.layer1[0].conv1.weight[3, 1, 0, 2] = value
    before = deepcopy(network.state_dict())
    with pytest.raises(ValueError, match=rf"{called} in weight of 'layer1\.0\.conv1'"):
        filters_of(network, group)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0, equal_nan=True)

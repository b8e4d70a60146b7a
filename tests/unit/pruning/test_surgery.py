from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from pruning.decay import decay_channels_
from pruning.graph.groups import find_groups
from pruning.surgery import Plan, cut, plan_from_json, plan_to_json

EXAMPLE_NCHW = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def small_network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    body = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3, bias=False)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_cut_keeps_the_named_rows_and_the_columns_that_read_them() -> None:
    network = small_network()
    small = cut(network, {"0": (1, 4, 6)}, EXAMPLE_NCHW)
    assert torch.equal(small[0].weight, network[0].weight[[1, 4, 6]])
    assert torch.equal(small[0].bias, network[0].bias[[1, 4, 6]])
    assert torch.equal(small[1].running_mean, network[1].running_mean[[1, 4, 6]])
    assert torch.equal(small[3].weight, network[3].weight[:, [1, 4, 6]])


def test_cut_leaves_its_argument_alone() -> None:
    network = small_network().train()
    network[0].weight.requires_grad_(False)
    state = deepcopy(network.state_dict())
    cut(network, {"0": (0, 1)}, EXAMPLE_NCHW)
    assert network.training
    assert [name for name, p in network.named_parameters() if not p.requires_grad] == ["0.weight"]
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_the_cut_network_inherits_modes_and_frozen_parameters() -> None:
    network = small_network().train()
    network[1].eval()
    network[0].weight.requires_grad_(False)
    small = cut(network, {"0": (0, 1)}, EXAMPLE_NCHW)
    assert [module.training for module in small.modules()] == [module.training for module in network.modules()]
    assert [name for name, p in small.named_parameters() if not p.requires_grad] == ["0.weight"]
    assert all(parameter.grad is None and parameter.is_leaf for parameter in small.parameters())


def test_the_order_in_which_a_plan_names_channels_does_not_matter() -> None:
    network = small_network().eval()
    ascending = cut(network, {"0": (1, 4, 6)}, EXAMPLE_NCHW)
    mixed = cut(network, {"0": (6, 1, 4)}, EXAMPLE_NCHW)
    assert torch.equal(ascending(EXAMPLE_NCHW), mixed(EXAMPLE_NCHW))


def test_an_empty_plan_cuts_nothing() -> None:
    network = small_network().eval()
    assert torch.equal(cut(network, {}, EXAMPLE_NCHW)(EXAMPLE_NCHW), network(EXAMPLE_NCHW))


def test_a_plan_replayed_on_a_fresh_network_fits_the_cut_weights_exactly() -> None:
    network = resnet18(weights=None).eval()
    plan = {g.id: tuple(range(0, g.width, 3)) for g in find_groups(network, EXAMPLE_NCHW)}
    small = cut(network, plan, EXAMPLE_NCHW)
    replayed = cut(resnet18(weights=None).eval(), plan_from_json(plan_to_json(plan)), EXAMPLE_NCHW)
    replayed.load_state_dict(small.state_dict())
    assert torch.equal(replayed(EXAMPLE_NCHW), small(EXAMPLE_NCHW))


def test_a_cut_network_can_be_cut_again_and_trained() -> None:
    once = cut(small_network(), {"0": (0, 2, 4, 6)}, EXAMPLE_NCHW)
    twice = cut(once, {"0": (1, 3)}, EXAMPLE_NCHW)
    assert torch.equal(twice[0].weight, small_network()[0].weight[[2, 6]])
    twice(EXAMPLE_NCHW).sum().backward()
    assert all(parameter.grad is not None for parameter in twice.parameters())


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        ({"O": (0,)}, "no group of this network: 'O'; nearest: "),
        ({"3": (0, 1)}, "group '3' is locked: all 6 of its channels must stay"),
        ({"0": ()}, "keeps no channel of group '0'"),
        ({"0": (0, 8)}, r"channels \[8\] of group '0' are outside \[0, 8\)"),
        ({"0": (-1, 2)}, r"channels \[-1\] of group '0' are outside \[0, 8\)"),
        ({"0": (2, 5, 2)}, r"channels \[2\] of group '0' more than once"),
    ],
)
def test_a_plan_that_does_not_fit_the_network_is_refused(plan: Plan, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        cut(small_network(), plan, EXAMPLE_NCHW)


def test_a_plan_for_another_network_leaves_the_network_alone() -> None:
    network = small_network()
    state = deepcopy(network.state_dict())
    with pytest.raises(ValueError, match=r"no group of this network: 'layer1\.0\.conv1'; nearest: '0'"):
        cut(network, {"0": (1, 2), "layer1.0.conv1": (0, 1)}, EXAMPLE_NCHW)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


class ReId(nn.Module):
    """A descriptor behind a BatchNorm neck, and a classifier that only training looks at."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3))
        self.neck = nn.BatchNorm1d(16)
        self.classifier = nn.Linear(16, 5, bias=False)
        for values_D in (self.neck.running_var, self.neck.weight.data):
            values_D.uniform_(0.5, 1.5)
        self.neck.running_mean.normal_()

    def forward(self, images_NCHW: Tensor) -> Tensor:
        return self.all_outputs(images_NCHW)[0]

    def all_outputs(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        features_ND = self.neck(self.features(images_NCHW).mean((-2, -1)))
        return F.normalize(features_ND, dim=1), self.classifier(features_ND)


@torch.no_grad()
def test_an_opened_descriptor_loses_columns_and_its_classifier_follows() -> None:
    network = ReId().eval()
    kept = (1, 2, 5, 11, 15)
    small = cut(network, {"features.3": kept}, EXAMPLE_NCHW, open_descriptor=True)
    group = find_groups(network, EXAMPLE_NCHW, open_descriptor=True)[1]
    decay_channels_(network, group, group.all_but(kept), 0.0)
    masked_ND, masked_logits = network.all_outputs(EXAMPLE_NCHW)
    small_ND, small_logits = small.all_outputs(EXAMPLE_NCHW)
    torch.testing.assert_close(small_ND, masked_ND[:, list(kept)], rtol=0, atol=1e-6)
    torch.testing.assert_close(small_logits, masked_logits, rtol=0, atol=1e-6)
    assert torch.equal(small.classifier.weight, network.classifier.weight[:, list(kept)])


def test_a_descriptor_that_was_not_opened_cannot_be_cut() -> None:
    with pytest.raises(ValueError, match=r"group 'features\.3' is locked: all 16"):
        cut(ReId(), {"features.3": (0, 1)}, EXAMPLE_NCHW)


def test_an_output_that_lost_other_columns_is_refused() -> None:
    class Padded(nn.Module):
        """Fills its descriptor up to a fixed size, so that no channel is missed."""

        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Conv2d(3, 8, 3)

        def forward(self, images_NCHW: Tensor) -> Tensor:
            pooled_ND = self.features(images_NCHW).mean((-2, -1))
            return F.normalize(F.pad(pooled_ND, (0, 8 - pooled_ND.shape[1])), dim=1)

    with pytest.raises(ValueError, match=r"made the output \(2, 8\), masking makes it \(2, 3\)"):
        cut(Padded(), {"features": (0, 3, 4)}, EXAMPLE_NCHW, open_descriptor=True)


@pytest.mark.parametrize(
    "kept", [torch.tensor([0, 2]), torch.tensor([True, False, True]).nonzero().flatten(), np.array([0, 2]), (2, 0)]
)
def test_kept_indices_may_lie_in_a_tensor_or_an_array(kept: Any) -> None:
    network = small_network()
    small, expected = (cut(network, {"0": each}, EXAMPLE_NCHW) for each in (kept, (0, 2)))
    assert torch.equal(small(EXAMPLE_NCHW), expected(EXAMPLE_NCHW))


@pytest.mark.parametrize("kept", [[0.5, 1.0], [True, False, True], torch.tensor([0.0, 1.0]), ["0"]])
def test_kept_indices_that_are_no_whole_numbers_are_refused(kept: Any) -> None:
    with pytest.raises(ValueError, match="channels of group '0' must be whole numbers, got"):
        cut(small_network(), {"0": kept}, EXAMPLE_NCHW)


class Disguised(nn.Module):
    """Two convolutions, and between them something that a dependency graph takes for elementwise."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1)
        self.between = between

    def forward(self, images_NCHW: Tensor) -> Tensor:
        return self.second(self.between(self.first(images_NCHW))).mean((-2, -1))


@pytest.mark.parametrize(
    "between",
    [
        lambda x: x.view(len(x), 2, 4, -1).transpose(1, 2).reshape(x.shape),
        lambda x: x * x.mean(1, keepdim=True),
        lambda x: x.cumsum(1),
        lambda x: x + 1.0,
    ],
    ids=["shuffle", "mean", "cumsum", "constant"],
)
def test_what_the_graph_follows_wrongly_is_refused(between: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="Disguised"):
        cut(Disguised(between), {"first": (0, 1, 5)}, EXAMPLE_NCHW)


def test_a_network_whose_weights_are_made_of_others_is_refused_by_layer() -> None:
    network = small_network()
    nn.utils.parametrizations.weight_norm(network[0])
    with pytest.raises(ValueError, match="layer '0' makes its weight of others"):
        cut(network, {"0": (0, 1)}, EXAMPLE_NCHW)


def test_a_cut_made_in_inference_mode_can_be_trained() -> None:
    network = small_network()
    with torch.inference_mode():
        small = cut(network, {"0": (0, 1)}, torch.randn(1, 3, 32, 32))
    small(EXAMPLE_NCHW).sum().backward()
    assert small[0].weight.grad is not None


def test_a_plan_comes_back_from_json() -> None:
    plan: Plan = {"b": (0, 2), "a": (1,)}
    text = plan_to_json(plan)
    assert text == '{"a": [1], "b": [0, 2]}'
    assert plan_from_json(text) == plan


@pytest.mark.parametrize("text", ["[1, 2]", '{"a": 3}', '{"a": [0.5]}', '{"a": [true]}', '{"a": ["0"]}', "{"])
def test_text_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        plan_from_json(text)

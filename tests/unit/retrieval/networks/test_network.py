import pytest
import torch
from torchvision.models import get_model

from pruning.graph.groups import find_groups
from pruning.surgery import cut
from retrieval.networks.network import BACKBONES, POOLINGS, build_network

# Channels, and positions along the side of a 64-pixel image.
TORCHVISION = {
    "resnet18": (512, 2),
    "resnet34": (512, 2),
    "resnet50": (2048, 2),
    "resnet101": (2048, 2),
    "vgg16": (512, 4),
    "alexnet": (256, 3),
    "mobilenet_v2": (1280, 2),
    "mobilenet_v3_large": (960, 2),
}


@pytest.mark.parametrize(("name", "size", "width"), [("mini_resnet", None, 128), ("resnet18", 40, 40)])
def test_a_network_gives_unit_descriptors_at_any_size(name, size, width):
    network = build_network(name, descriptor_size=size).eval()
    for height, breadth in ((64, 64), (96, 64), (70, 130)):
        with torch.no_grad():
            descriptors = network(torch.randn(2, 3, height, breadth))
        assert descriptors.shape == (2, width)
        assert torch.allclose(descriptors.norm(dim=1), torch.ones(2), atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("training", [True, False])
def test_every_pooling_gives_unit_descriptors_with_and_without_projection(pooling, training):
    images = torch.randn(2, 3, 64, 48)
    for size, width in ((None, 128 * (64 if pooling == "netvlad" else 1)), (24, 24)):
        network = build_network("mini_resnet", pooling=pooling, descriptor_size=size).train(training)
        descriptors = network(images)
        assert descriptors.shape == (2, width)
        assert torch.allclose(descriptors.norm(dim=1), torch.ones(2), atol=1e-5)


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_torchvision_backbone_is_its_network_without_the_classifier(name):
    channels, side = TORCHVISION[name]
    torch.manual_seed(0)
    backbone = build_network(name).backbone.eval()
    torch.manual_seed(0)
    whole = get_model(name, weights=None)
    expected = list(getattr(whole, "features", whole).state_dict().values())
    if name.startswith("resnet"):
        expected = expected[:-2]  # the weight and bias of its classifier
    kept = list(backbone.state_dict().values())
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(kept, expected, strict=True))
    assert backbone.out_channels == channels
    with torch.no_grad():
        assert backbone(torch.randn(1, 3, 64, 64)).shape == (1, channels, side, side)


def test_every_backbone_is_tested():
    assert set(BACKBONES) == {"mini_resnet", *TORCHVISION}


def test_names_in_the_state_of_a_resnet_are_torchvisions():
    names = build_network("resnet18", descriptor_size=8).state_dict()
    assert {"backbone.conv1.weight", "backbone.layer4.1.bn2.running_var", "pooling.p", "projection.bias"} <= set(names)
    assert len(names) == 120 + 1 + 2


def test_vgg_without_its_last_pooling_equals_torchvisions_up_to_there():
    network = build_network("vgg16").eval()
    whole = get_model("vgg16", weights=None).features.eval()
    whole.load_state_dict(network.backbone.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(torch.max_pool2d(network.backbone(images), 2), whole(images))


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown network 'resnet81'.*did you mean 'resnet18'"):
        build_network("resnet81")
    with pytest.raises(ValueError, match="unknown pooling 'gme'"):
        build_network("resnet18", pooling="gme")


def test_with_unit_pooled_the_projection_sees_vectors_of_unit_length():
    network = build_network("mini_resnet", descriptor_size=8, unit_pooled=True).eval()
    seen = []
    network.projection.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network(torch.randn(3, 3, 64, 64))
    assert torch.allclose(seen[0].norm(dim=1), torch.ones(3), atol=1e-6)


def test_unit_pooled_without_a_projection_is_refused():
    with pytest.raises(ValueError, match="unit_pooled needs a descriptor_size"):
        build_network("mini_resnet", unit_pooled=True)


def test_a_network_that_whitens_can_be_cut():
    network = build_network("mini_resnet", descriptor_size=24, unit_pooled=True).eval()
    example = torch.zeros(1, 3, 64, 64)
    groups = [group for group in find_groups(network, example) if not group.locked]
    plain = find_groups(build_network("mini_resnet", descriptor_size=24), example)
    assert groups == [group for group in plain if not group.locked]
    plan = {group.id: tuple(range(8, group.width)) for group in groups}
    small = cut(network, plan, example)
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in network.parameters())
    with torch.no_grad():
        assert small(torch.randn(2, 3, 64, 64)).shape == (2, 24)

import pytest
import safetensors.torch
import torch
from torchvision.models import get_model

from retrieval.network import BACKBONES, POOLINGS, build_network

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


def test_weights_come_back_from_a_file(tmp_path):
    network = build_network("mini_resnet", descriptor_size=8)
    for name, save in (("w.safetensors", safetensors.torch.save_file), ("w.pth", torch.save)):
        save(network.state_dict(), tmp_path / name)
        loaded = build_network("mini_resnet", descriptor_size=8, weights=tmp_path / name)
        assert all(torch.equal(a, b) for a, b in zip(network.parameters(), loaded.parameters(), strict=True))


def test_weights_that_do_not_fit_are_refused(tmp_path):
    safetensors.torch.save_file(build_network("mini_resnet").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="does not fit"):
        build_network("mini_resnet", descriptor_size=8, weights=tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="does not exist"):
        build_network("mini_resnet", weights=tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("name", "content"),
    [("w.safetensors", b"garbage"), ("w.pth", b"garbage"), ("w.pth", b"")],
    ids=["safetensors", "pickle", "empty"],
)
def test_a_weights_file_that_is_damaged_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} cannot be read"):
        build_network("mini_resnet", weights=tmp_path / name)


def test_a_file_that_holds_no_state_dict_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w\.pth does not fit"):
        build_network("mini_resnet", weights=tmp_path / "w.pth")


def test_weights_that_nobody_published_are_refused():
    with pytest.raises(ValueError, match="mini_resnet has no imagenet weights"):
        build_network("mini_resnet", weights="imagenet")
    with pytest.raises(ValueError, match="does not exist"):
        build_network("mini_resnet", weights="")

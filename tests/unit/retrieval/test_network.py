import pytest
import safetensors.torch
import torch

from retrieval.network import build_network
from retrieval.pooling import GeM, gem


def test_gem_with_exponent_one_is_the_mean_and_with_a_large_one_the_maximum():
    x = torch.rand(2, 3, 4, 5) + 0.1
    assert torch.allclose(gem(x, p=1.0), x.mean((2, 3)))
    assert torch.allclose(gem(x, p=200.0), x.amax((2, 3)), rtol=0.05)


def test_gem_by_hand():
    assert gem(torch.tensor([[[[1.0, 2.0]]]]), p=3.0).item() == pytest.approx(4.5 ** (1 / 3))


def test_gem_learns_its_exponent():
    pooling = GeM()
    pooling(torch.rand(1, 2, 3, 3)).sum().backward()
    assert pooling.p.grad is not None
    assert pooling.p.grad != 0


@pytest.mark.parametrize(("name", "size", "width"), [("mini_resnet", None, 128), ("resnet18", 40, 40)])
def test_a_network_gives_unit_descriptors_at_any_size(name, size, width):
    network = build_network(name, descriptor_size=size).eval()
    for height, breadth in ((64, 64), (96, 64), (70, 130)):
        with torch.no_grad():
            descriptors = network(torch.randn(2, 3, height, breadth))
        assert descriptors.shape == (2, width)
        assert torch.allclose(descriptors.norm(dim=1), torch.ones(2), atol=1e-5)


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

import pytest
import torch
from torch import nn

from retrieval.networks.network import build_network
from retrieval.training.losses.base import Loss
from retrieval.training.losses.cosine_softmax import CosineSoftmax
from retrieval.training.losses.matching import Matched, descriptor_matching
from retrieval.training.losses.reid import ReIDPair


def test_descriptor_matching_by_hand():
    ours, dense = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.0, 1.0], [0.6, 0.8]])
    assert descriptor_matching(ours, dense).item() == pytest.approx((2 + 0) / 2)


def test_descriptors_of_unequal_size_cannot_be_matched():
    with pytest.raises(ValueError, match="must all be kept"):
        descriptor_matching(torch.ones(2, 3), torch.ones(2, 4))


@pytest.mark.parametrize("head", ["plain", "reid"])
def test_matching_adds_the_distance_to_a_dense_network_that_stays_as_it_is(head):
    torch.manual_seed(0)
    classes = 3 if head == "reid" else None
    network, dense = (build_network("mini_resnet", descriptor_size=8, classes=classes) for _ in range(2))
    plain: Loss = ReIDPair() if head == "reid" else CosineSoftmax(3, 8)
    loss = Matched(plain, dense, weight=2.0)
    images, labels = torch.randn(4, 3, 64, 64), torch.tensor([0, 0, 1, 2])
    before = {name: tensor.clone() for name, tensor in dense.state_dict().items()}
    network.train()
    loss.train()
    value = loss(*loss.outputs(network, images), labels)
    value.backward()
    with torch.no_grad():
        distance = (network(images) - dense.eval()(images)).pow(2).sum(1).mean()
        expected = plain(*plain.outputs(network, images), labels) + 2 * distance
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert all(parameter.grad is None for parameter in dense.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in dense.state_dict().items())
    assert len(list(loss.parameters())) == len(list(plain.parameters()))
    assert loss.descriptor_size == plain.descriptor_size
    assert not any(isinstance(module, nn.Conv2d) for module in loss.modules())

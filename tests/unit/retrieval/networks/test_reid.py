import pytest
import torch
from torch.nn import functional as F

from retrieval.networks.network import build_network


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network("mini_resnet", descriptor_size=16, classes=5)


@pytest.mark.parametrize("training", [True, False])
def test_all_outputs_are_the_descriptors_of_forward_and_the_logits(network, training):
    network.train(training)
    images = torch.randn(4, 3, 64, 32)
    descriptors, logits = network.all_outputs(images)
    assert torch.allclose(descriptors, network(images), atol=1e-6)
    assert torch.allclose(descriptors.norm(dim=1), torch.ones(4), atol=1e-5)
    assert logits.shape == (4, 5)


def test_descriptors_and_logits_come_from_behind_the_neck(network):
    network.eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        network.neck.running_mean.normal_()
        network.neck.weight.uniform_(0.5, 2)
        necked = network.neck(network.projection(network.pooling(network.backbone(images))))
        descriptors, logits = network.all_outputs(images)
    assert torch.allclose(descriptors, F.normalize(necked, dim=1), atol=1e-6)
    assert torch.allclose(logits, necked @ network.classifier.weight.T, atol=1e-6)


def test_training_is_given_the_feature_before_the_neck_as_well(network):
    network.eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        network.neck.running_mean.normal_()
        descriptors, features, logits = network.training_outputs(images)
        assert torch.equal(features, network.projection(network.pooling(network.backbone(images))))
        assert torch.equal(descriptors, network(images))
        assert torch.equal(logits, network.all_outputs(images)[1])
        assert not torch.allclose(F.normalize(features, dim=1), descriptors, atol=1e-3)


def test_the_necks_shift_stays_zero_in_training_and_its_scale_does_not(network):
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    _, logits = network.train().all_outputs(torch.randn(8, 3, 32, 32))
    F.cross_entropy(logits, torch.arange(8) % 5).backward()
    optimizer.step()
    assert network.neck.bias.abs().max() == 0
    assert (network.neck.weight != 1).any()
    assert network.classifier.bias is None


def test_only_a_network_with_classes_has_all_outputs(network):
    assert hasattr(network, "all_outputs")
    assert not hasattr(build_network("mini_resnet"), "all_outputs")


def test_a_neck_without_projection_is_as_wide_as_the_pooled_vector():
    network = build_network("mini_resnet", pooling="netvlad", classes=3).eval()
    assert network(torch.randn(1, 3, 64, 64)).shape == (1, 64 * 128)


def test_a_classifier_without_classes_is_refused():
    with pytest.raises(ValueError, match="classes is 0, must be at least 1"):
        build_network("mini_resnet", classes=0)


def test_one_image_alone_is_refused_in_training_by_its_size_unless_the_neck_is_frozen(network):
    image = torch.randn(1, 3, 64, 32)
    network.train()
    with pytest.raises(ValueError, match=r"one image of 64×32 cannot be trained on alone.*\[height, width\]"):
        network.training_outputs(image)
    network.neck.eval()
    assert network.training_outputs(image)[2].shape == (1, 5)

import numpy as np
import pytest
import torch
from torch import nn

from retrieval.datasets.folders import load_folder_per_class
from retrieval.finetune import Batches, recalibrate_batchnorm_, train_epoch
from retrieval.images import ImageReader
from retrieval.losses import CosineSoftmax
from retrieval.network import build_network

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def training_set(tiny_data):
    return load_folder_per_class(tiny_data / "train")


def batches(training_set, **changes) -> Batches:
    return Batches(**{"training_set": training_set, "reader": ImageReader(64), "batch_size": 16, "seed": 0} | changes)


def optimizer_of(*modules: nn.Module, rate: float = 3e-3):
    optimizer = torch.optim.AdamW([p for module in modules for p in module.parameters()], lr=rate)
    return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


def test_an_epoch_sees_every_image_once(training_set):
    labels = torch.cat([labels for _, labels in batches(training_set).epoch(0)])
    assert sorted(labels.tolist()) == sorted(training_set.labels.tolist())


def test_the_same_seed_and_epoch_give_the_same_batches_and_others_do_not(training_set):
    def first(seed: int, epoch: int) -> torch.Tensor:
        return next(iter(batches(training_set, seed=seed).epoch(epoch)))[0]

    assert torch.equal(first(0, 3), first(0, 3))
    assert not torch.equal(first(0, 3), first(0, 4))
    assert not torch.equal(first(0, 3), first(1, 3))


def test_an_epoch_may_be_longer_or_shorter_than_the_set_and_a_batch_larger(training_set):
    assert len(list(batches(training_set, steps=2).epoch(0))) == 2
    assert len(list(batches(training_set, steps=9).epoch(0))) == 9
    (only,) = batches(training_set, batch_size=1000).epoch(0)
    assert len(only[1]) == len(training_set.images)


def test_training_lowers_the_loss(training_set):
    torch.manual_seed(0)
    network, loss = build_network("mini_resnet", descriptor_size=16), CosineSoftmax(len(training_set.classes), 16)
    optimizer, rates = optimizer_of(network, loss)
    losses = [
        train_epoch(network, loss, batches(training_set).epoch(epoch), optimizer, rates, CPU) for epoch in range(3)
    ]
    assert losses[-1] < 0.9 * losses[0]


def test_a_diverged_training_is_an_error(training_set):
    network, loss = build_network("mini_resnet", descriptor_size=16), CosineSoftmax(len(training_set.classes), 16)
    nn.init.constant_(network.projection.weight, float("nan"))
    optimizer, rates = optimizer_of(network, loss)
    with pytest.raises(FloatingPointError, match="diverged"):
        train_epoch(network, loss, batches(training_set, steps=1).epoch(0), optimizer, rates, CPU)


def test_recalibration_measures_the_statistics_of_the_batches(training_set):
    torch.manual_seed(0)
    network = build_network("mini_resnet")
    norm = network.backbone.bn1
    norm.running_mean.fill_(7.0)
    two = list(batches(training_set, steps=2).epoch(0))
    recalibrate_batchnorm_(network, iter(two), CPU)
    with torch.no_grad():
        expected = torch.stack([network.backbone.conv1(images).mean((0, 2, 3)) for images, _ in two]).mean(0)
    assert torch.allclose(norm.running_mean, expected, atol=1e-5)
    assert norm.momentum == 0.1
    assert not network.training


def test_the_cosine_softmax_by_hand():
    loss = CosineSoftmax(classes=3, descriptor_size=3, scale=2.0)
    loss.directions_CD.data = 5 * torch.eye(3)  # the length of a direction does not matter
    expected = -np.log(np.exp(2) / (np.exp(2) + 2))
    assert loss(torch.eye(3), torch.arange(3)).item() == pytest.approx(expected)

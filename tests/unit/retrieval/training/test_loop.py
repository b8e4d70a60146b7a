import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from retrieval.datasets.formats.folders import load_folder_per_class
from retrieval.images import IMAGENET_STD, ImageReader, normalise
from retrieval.networks.network import build_network
from retrieval.training.loop import Batches, recalibrate_batchnorm_, train_epoch
from retrieval.training.losses.cosine_softmax import CosineSoftmax

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
    labels = torch.cat([batch.labels_N for batch in batches(training_set).epoch(0)])
    assert sorted(labels.tolist()) == sorted(training_set.labels.tolist())


def test_the_same_seed_and_epoch_give_the_same_batches_and_others_do_not(training_set):
    def first(seed: int, epoch: int) -> torch.Tensor:
        return next(batches(training_set, seed=seed).epoch(epoch)).stacks[0]

    assert torch.equal(first(0, 3), first(0, 3))
    assert not torch.equal(first(0, 3), first(0, 4))
    assert not torch.equal(first(0, 3), first(1, 3))


def test_an_epoch_may_be_longer_or_shorter_than_the_set_and_a_batch_larger(training_set):
    assert len(list(batches(training_set, steps=2).epoch(0))) == 2
    assert len(list(batches(training_set, steps=9).epoch(0))) == 9
    (only,) = batches(training_set, batch_size=1000).epoch(0)
    assert len(only.labels_N) == len(training_set.images)


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
        expected = torch.stack([network.backbone.conv1(batch.stacks[0]).mean((0, 2, 3)) for batch in two]).mean(0)
    assert torch.allclose(norm.running_mean, expected, atol=1e-5)
    assert norm.momentum == 0.1
    assert not network.training


@pytest.fixture(scope="module")
def unequal(tmp_path_factory):
    """Twelve images of two classes, in three sizes that take turns."""
    root, rng = tmp_path_factory.mktemp("unequal"), np.random.default_rng(0)
    for i in range(12):
        height, width = [(64, 64), (64, 48), (40, 64)][i % 3]
        folder = root / f"class_{i // 6}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(folder / f"{i:02}.png")
    return load_folder_per_class(root)


def test_images_of_one_size_stand_in_one_stack_and_come_back_in_the_order_of_the_labels(unequal):
    (batch,) = batches(unequal, batch_size=12).epoch(0)
    assert sorted(tuple(stack.shape) for stack in batch.stacks) == [(4, 3, 40, 64), (4, 3, 64, 48), (4, 3, 64, 64)]
    order = np.random.default_rng((0, 0)).permutation(12)
    network = build_network("mini_resnet", descriptor_size=16).eval()
    with torch.no_grad():
        (found,) = batch.through(lambda stack: (network(stack),), CPU)
        reader = ImageReader(64)
        one_by_one = torch.cat([network(normalise(reader.read(unequal.images[i])[None])) for i in order])
    assert torch.allclose(found, one_by_one, atol=1e-5)
    assert batch.labels_N.tolist() == unequal.labels[order].tolist()


def test_training_on_images_of_unequal_size_lowers_the_loss_and_calibrates(unequal):
    torch.manual_seed(0)
    network, loss = build_network("mini_resnet", descriptor_size=16), CosineSoftmax(2, 16)
    optimizer, rates = optimizer_of(network, loss)
    source = batches(unequal, batch_size=12, steps=4)
    losses = [train_epoch(network, loss, source.epoch(epoch), optimizer, rates, CPU) for epoch in range(3)]
    assert losses[-1] < losses[0]
    recalibrate_batchnorm_(network, source.epoch(0), CPU)
    assert torch.isfinite(network.backbone.bn1.running_var).all()


def test_recalibration_on_unequal_sizes_measures_how_images_differ(tmp_path):
    """Each image has a size and a grey of its own: alone in its stack, none varies at all."""
    for i in range(8):
        (tmp_path / f"class_{i % 2}").mkdir(exist_ok=True)
        Image.new("RGB", (64, 40 + i), (30 * i,) * 3).save(tmp_path / f"class_{i % 2}" / f"{i}.png")
    network = nn.Sequential(nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(3))
    source = batches(load_folder_per_class(tmp_path), batch_size=8, steps=1)
    recalibrate_batchnorm_(network, source.epoch(0), CPU)
    greys_8C = (torch.arange(8) * 30 / 255)[:, None] / torch.tensor(IMAGENET_STD)
    assert torch.allclose(network[0].running_var, greys_8C.var(0, correction=0), rtol=0.01)
    assert torch.isfinite(network[3].running_var).all()


def test_frozen_batchnorm_measures_nothing_and_its_scale_still_learns(training_set):
    torch.manual_seed(0)
    network, loss = build_network("mini_resnet", descriptor_size=16), CosineSoftmax(len(training_set.classes), 16)
    norm = network.backbone.bn1
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    optimizer, rates = optimizer_of(network, loss)
    train_epoch(network, loss, batches(training_set, steps=2).epoch(0), optimizer, rates, CPU, freeze_batchnorm=True)
    assert torch.equal(norm.running_mean, before["running_mean"])
    assert torch.equal(norm.running_var, before["running_var"])
    assert norm.num_batches_tracked == before["num_batches_tracked"]
    assert not torch.equal(norm.weight, before["weight"])
    train_epoch(network, loss, batches(training_set, steps=1).epoch(0), optimizer, rates, CPU)
    assert not torch.equal(norm.running_mean, before["running_mean"])


def test_a_penalty_is_added_at_every_step(training_set):
    def mean_loss(penalty) -> float:
        torch.manual_seed(0)
        network, loss = build_network("mini_resnet", descriptor_size=16), CosineSoftmax(len(training_set.classes), 16)
        optimizer, rates = optimizer_of(network, loss, rate=0.0)
        return train_epoch(
            network, loss, batches(training_set, steps=2).epoch(0), optimizer, rates, CPU, penalty=penalty
        )

    assert mean_loss(lambda: torch.tensor(3.0)) == pytest.approx(mean_loss(None) + 3.0, rel=1e-5)


@pytest.fixture(scope="module")
def with_an_icon(tmp_path_factory):
    """Seven images of one size, and one of 16 pixels, whose feature map has a single position."""
    root, rng = tmp_path_factory.mktemp("icon"), np.random.default_rng(0)
    for i in range(8):
        side = 16 if i == 3 else 64
        folder = root / f"class_{i // 4}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return load_folder_per_class(root)


@pytest.mark.parametrize("classes", [None, 2])  # with a classifier there is a BatchNorm behind the pooling, too
def test_a_lone_image_with_a_single_value_a_channel_is_trained_on_and_leaves_the_statistics(with_an_icon, classes):
    torch.manual_seed(0)
    network = build_network("mini_resnet", descriptor_size=16 if classes is None else None, classes=classes)
    norm = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)][-1]
    seen = []
    norm.register_forward_hook(lambda module, inputs, output: seen.append(tuple(inputs[0].shape)))
    size = 16 if classes is None else descriptor_size_of(network)
    loss = CosineSoftmax(2, size)
    optimizer, rates = optimizer_of(network, loss)
    train_epoch(network, loss, batches(with_an_icon, batch_size=8).epoch(0), optimizer, rates, CPU)
    assert (1, *seen[0][1:2], 1, 1) in seen, "the icon must pass as a single value"
    assert norm.num_batches_tracked == 1
    assert all(module.training for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    assert not norm._forward_pre_hooks


def descriptor_size_of(network: nn.Module) -> int:
    with torch.no_grad():
        return network.eval()(torch.zeros(1, 3, 64, 64)).shape[1]


def test_a_training_frozen_in_its_statistics_stays_frozen_beside_an_icon(with_an_icon):
    network, loss = build_network("mini_resnet", descriptor_size=16), CosineSoftmax(2, 16)
    optimizer, rates = optimizer_of(network, loss)
    steps = batches(with_an_icon, batch_size=8).epoch(0)
    train_epoch(network, loss, steps, optimizer, rates, CPU, freeze_batchnorm=True)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(norm.num_batches_tracked == 0 and not norm.training for norm in norms)


def test_recalibration_on_icons_alone_ends_in_time(tmp_path):
    (tmp_path / "one").mkdir()
    Image.new("RGB", (16, 16), (9, 80, 200)).save(tmp_path / "one" / "icon.png")
    network = build_network("mini_resnet")
    recalibrate_batchnorm_(network, batches(load_folder_per_class(tmp_path)).epoch(0), CPU)
    assert all(parameter.isfinite().all() for parameter in network.state_dict().values())

"""The dense network that every trial starts from: trained once, kept under the hash of all that it depends on."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import safetensors.torch
import torch
from torch import nn

from pruning.graph.groups import PrunableGroup, find_groups
from pruning.identity import json_identity
from retrieval.descriptors.extract import describe_with
from retrieval.evaluation.evaluate import evaluate
from retrieval.networks.netvlad import NetVLAD
from retrieval.networks.network import build_network
from retrieval.networks.weights import load_weights
from retrieval.runtime.onnx_model import to_onnx
from retrieval.training.loop import Batches, BatchSource
from retrieval.training.losses.base import Loss
from retrieval.training.losses.matching import Matched
from tracking.format_version import VERSION_KEY, check_version
from tracking.provenance import provenance
from tracking.record import EpochPoint
from trainables.data import SweepData, open_data, plain_batches, training_fingerprint
from trainables.delivery import deliver, drop_training_head_, rebuild
from trainables.loss_factory import make_batches, make_loss
from trainables.settings import NetworkSettings, Size, TrialSettings, traced_size, tracing_image
from trainables.training import Training, TrainingSetup

CENTROID_BATCHES = 10
"""Batches of training images among whose features NetVLAD's centroids are placed."""
_WEIGHTS, _LOSS, _ONNX, _CARD = "weights.safetensors", "loss.safetensors", "model.onnx", "baseline.json"
_CARD_VERSION = 1


@dataclass(frozen=True)
class Baseline:
    """A trained dense network in a folder of its own.

    Attributes:
        folder: holds weights, the loss's state and the card.
        settings: of the sweep.
        classes: of the training set.
    """

    folder: Path
    settings: TrialSettings
    classes: int

    @property
    def descriptors(self) -> Path:
        """The folder in which the dense network's descriptors are kept."""
        return self.folder / "descriptors"

    def network(self) -> nn.Module:
        """Return a fresh copy of the dense network, in eval mode."""
        network = build_dense(self.settings.network, self.classes, weights=self.folder / _WEIGHTS)
        return network.eval()

    def delivered(self) -> nn.Module:
        """Return a fresh copy of the dense network with its scales and its whitening, in eval mode."""
        shape = self.settings.network.model_copy(update={"weights": None})
        weights = safetensors.torch.load_file(self._delivery / _WEIGHTS)
        return rebuild(build_dense(shape, self.classes), self.settings.descriptor, weights)

    def start_anew(self, batches: BatchSource, image_size: Size) -> tuple[nn.Module, Loss]:
        """Return an untrained network of the dense shape and its loss, drawn from the batches' seed.

        The draw differs from the one that the dense network started from: channels that were chosen by what was trained
        from the same initial weights would not be a choice independent of them.

        Args:
            batches: of the training that follows.
            image_size: of the sweep.
        """
        with torch.random.fork_rng(devices=[]):
            seed = f"scratch {batches.plain.seed}"
            torch.manual_seed(int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16))
            settings = self.settings.network.model_copy(update={"weights": None})
            network = _untrained(settings, batches.plain)
            loss = make_loss(self.settings.loss, self.classes, descriptor_size(network, image_size))
            return network, self._matched(loss)

    def loss(self, descriptor_size: int) -> Loss:
        """Return what trials train with: a fresh copy of the dense network's loss in its trained state.

        Where the settings say so, it also matches the descriptors with those of the dense network.
        """
        loss = make_loss(self.settings.loss, self.classes, descriptor_size)
        loss.load_state_dict(safetensors.torch.load_file(self.folder / _LOSS))
        return self._matched(loss)

    def onnx(self) -> bytes:
        """Return the network of `delivered` as an ONNX model; the speed of trials is compared with it."""
        return (self._delivery / _ONNX).read_bytes()

    @property
    def is_delivered(self) -> bool:
        """Whether the files of `delivered` and `onnx` exist; `deliver_dense` writes them."""
        return self._delivery.is_dir()

    def deliver_dense(self, device: torch.device) -> None:
        """Write the files of `delivered` and `onnx`, once for each choice of scales and whitening."""
        settings = self.settings
        network = deliver(self.network().to(device), settings, open_data(settings.data), device).cpu()
        drop_training_head_(network)
        with _appearing(self._delivery) as unfinished:
            safetensors.torch.save_file(network.state_dict(), unfinished / _WEIGHTS)
            (unfinished / _ONNX).write_bytes(to_onnx(network, traced_size(settings.data.image_size)))

    @property
    def _delivery(self) -> Path:
        parts = [
            self.settings.descriptor.model_dump(),
            self.settings.data.image_size,
            self.settings.evaluation.autocast,
        ]
        digest = json_identity(parts)
        return self.folder / f"delivered-{digest}"

    def _matched(self, loss: Loss) -> Loss:
        weight = self.settings.loss.match
        return Matched(loss, self.network(), weight) if weight else loss


def build_dense(settings: NetworkSettings, classes: int, weights: Path | str | None = None) -> nn.Module:
    """Build the dense network.

    Args:
        settings: of the network.
        classes: of the training set: a network with a classifier has as many outputs.
        weights: replace those that the settings name.
    """
    return build_network(
        settings.name,
        pooling=settings.pooling,
        descriptor_size=settings.descriptor_size,
        weights=weights or settings.weights,
        classes=classes if settings.head == "reid" else None,
        unit_pooled=settings.unit_pooled,
    )


def dense_groups(settings: TrialSettings, *, open_descriptor: bool = False) -> tuple[PrunableGroup, ...]:
    """Return the groups of the dense network before it is trained, so that errors are known before any training.

    Args:
        settings: of the sweep.
        open_descriptor: whether the group that the descriptor is read from may lose channels.

    Raises:
        ValueError: unknown weights or a shape that they do not fit, or a network whose channels cannot be traced.
    """
    network = settings.network
    if network.weights == "imagenet":
        # The shape does not depend on them, and the training downloads them.
        network = network.model_copy(update={"weights": None})
    # Only a classifier's size depends on the training set, which need not exist yet otherwise.
    classes = len(open_data(settings.data).train.classes) if network.head == "reid" else 0
    dense = build_dense(network, classes)
    example = tracing_image(settings.data.image_size)
    return tuple(find_groups(dense, example, open_descriptor=open_descriptor))


def baseline_identity(settings: TrialSettings) -> str:
    """Return sixteen hex digits of all that the dense weights depend on: network, training, loss, images."""
    data = open_data(settings.data)
    start = Path(settings.network.weights or "")
    parts = {
        "network": settings.network.model_dump(),
        # A weights file may be replaced under the same name.
        "weights": hashlib.sha256(start.read_bytes()).hexdigest() if start.is_file() else None,
        "dense": settings.dense.model_dump(),
        "loss": settings.loss.model_dump(exclude={"match"}),  # only trials use it
        "image_size": settings.data.training_size or settings.data.image_size,
        "train": training_fingerprint(data.train),
    }
    return json_identity(parts)


def find_baseline(settings: TrialSettings, cache: Path) -> Baseline | None:
    """Return the finished baseline for these settings; None when it has yet to be trained or delivered."""
    baseline = _trained(settings, cache)
    return baseline if baseline is not None and baseline.is_delivered else None


def _trained(settings: TrialSettings, cache: Path) -> Baseline | None:
    folder = cache / baseline_identity(settings)
    if not (folder / _CARD).is_file():
        return None
    card = json.loads((folder / _CARD).read_text())
    check_version(card.get(VERSION_KEY, 1), folder / _CARD, "a dense network's card", _CARD_VERSION)
    return Baseline(folder, settings, card["classes"])


def need_baseline(settings: TrialSettings, cache: Path) -> Baseline:
    """Return the finished baseline.

    Args:
        settings: of the sweep.
        cache: where dense networks are kept.

    Raises:
        FileNotFoundError: it is not in `cache`, though it was trained before: this node does not see the storage.
    """
    baseline = find_baseline(settings, cache)
    if baseline is None:
        raise FileNotFoundError(
            f"no trained baseline in {cache}: is it on storage that every node sees, or was it moved?"
        )
    return baseline


def train_baseline(settings: TrialSettings, cache: Path, device: torch.device) -> Iterator[EpochPoint]:
    """Train the dense network into `cache`, and deliver it.

    The folder appears whole, at the end: a training that was killed leaves no baseline, and the next one starts over.
    A network that was trained before, for other scales or another whitening, is only delivered again.

    Args:
        settings: of the sweep.
        cache: where dense networks are kept.
        device: where it is trained.

    Yields:
        Each epoch when it is done.
    """
    if _trained(settings, cache) is None:
        yield from _train(settings, cache / baseline_identity(settings), device)
    baseline = _trained(settings, cache)
    assert baseline is not None
    if not baseline.is_delivered:
        baseline.deliver_dense(device)


def _train(settings: TrialSettings, folder: Path, device: torch.device) -> Iterator[EpochPoint]:
    data = open_data(settings.data)
    training = _dense_training(settings, data, device)
    curve = []
    while not training.finished:
        start = time.perf_counter()
        loss = training.train_epoch()
        describe = describe_with(training.network, device)
        reader = data.reader_of(data.select_on)
        scores = evaluate(describe, data.select_on, reader, batch_size=settings.evaluation.batch_size)
        seconds = time.perf_counter() - start
        curve.append(EpochPoint(epoch=training.epoch, loss=loss, map=scores.map, seconds=seconds))
        yield curve[-1]
    card = {
        VERSION_KEY: _CARD_VERSION,
        "classes": len(data.train.classes),
        "settings": settings.model_dump(mode="json"),
        "curve": [point.model_dump() for point in curve],
        "provenance": provenance(device=str(device), threads=str(torch.get_num_threads())),
    }
    with _appearing(folder) as unfinished:
        safetensors.torch.save_file(training.network.cpu().state_dict(), unfinished / _WEIGHTS)
        safetensors.torch.save_file(training.loss.cpu().state_dict(), unfinished / _LOSS)
        (unfinished / _CARD).write_text(json.dumps(card, indent=2))


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder to write into; it is renamed to `folder` when all is written."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        unfinished = Path(name) / folder.name
        unfinished.mkdir()
        yield unfinished
        try:
            unfinished.rename(folder)
        except OSError:
            # Another sweep may have written the same folder meanwhile: the first one stays.
            if not folder.is_dir():
                raise


def _dense_training(settings: TrialSettings, data: SweepData, device: torch.device) -> Training:
    torch.manual_seed(settings.dense.seed)
    plain = plain_batches(data, settings.dense)
    network = _untrained(settings.network, plain)
    size = descriptor_size(network, settings.data.image_size)
    setup = TrainingSetup(
        loss=make_loss(settings.loss, len(data.train.classes), size),
        batches=make_batches(settings.loss, plain),
        weight_decay=settings.dense.weight_decay,
        device=device,
        freeze_batchnorm=settings.loss.freeze_batchnorm,
    )
    return Training(network, setup, epochs=settings.dense.epochs, learning_rate=settings.dense.learning_rate)


def _untrained(settings: NetworkSettings, plain: Batches) -> nn.Module:
    """Return the network that a dense training starts from, drawn from torch's generator."""
    network = build_dense(settings.model_copy(update={"weights": None}), len(plain.training_set.classes))
    pooling = network.get_submodule("pooling")
    drawn = {name: tensor.clone() for name, tensor in pooling.state_dict().items()}
    load_weights(network, settings.weights)
    came_along = any(not torch.equal(drawn[name], tensor) for name, tensor in pooling.state_dict().items())
    if isinstance(pooling, NetVLAD) and not came_along:
        _place_centroids_(network.get_submodule("backbone"), pooling, plain)
    return network


@torch.no_grad()
def _place_centroids_(backbone: nn.Module, pooling: NetVLAD, plain: Batches) -> None:
    """Place NetVLAD's centroids among the backbone's own features, as its paper does."""
    batches = replace(plain, steps=CENTROID_BATCHES).epoch(0)
    maps = [backbone.eval()(stack_NCHW) for batch in batches for stack_NCHW in batch.stacks]
    pooling.init_from_(torch.cat([map_NCHW.movedim(1, -1).flatten(0, 2) for map_NCHW in maps]), seed=plain.seed)
    backbone.train()


@torch.no_grad()
def descriptor_size(network: nn.Module, image_size: Size) -> int:
    """Return the descriptor size D of a network, by running it."""
    training = network.training
    size = network.eval()(tracing_image(image_size)).shape[1]
    network.train(training)
    return int(size)

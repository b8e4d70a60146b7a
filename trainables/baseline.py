"""The dense network that every trial starts from: trained once, kept under the hash of what it depends on."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import safetensors.torch
import torch
from torch import nn

from pruning.groups import PrunableGroup, find_groups
from retrieval.datasets.base import fingerprint
from retrieval.descriptors import describe_with
from retrieval.evaluate import evaluate
from retrieval.finetune import Batches
from retrieval.losses import CosineSoftmax
from retrieval.netvlad import NetVLAD
from retrieval.network import RetrievalNetwork, build_network
from retrieval.onnx_model import to_onnx
from tracking.provenance import provenance
from tracking.record import EpochPoint
from trainables.data import SweepData, open_data
from trainables.settings import NetworkSettings, TrialSettings, example_image
from trainables.training import Training

_CENTROID_BATCHES = 10  # what NetVLAD's centroids are placed among
_WEIGHTS, _LOSS, _ONNX, _CARD = "weights.safetensors", "loss.safetensors", "model.onnx", "baseline.json"


@dataclass(frozen=True)
class Baseline:
    """A trained dense network in a folder of its own."""

    folder: Path
    network_settings: NetworkSettings
    classes: int

    def network(self) -> nn.Module:
        """A fresh copy of the dense network, in eval mode."""
        network = build_dense(self.network_settings, weights=self.folder / _WEIGHTS)
        return network.eval()

    def start_anew(self, batches: Batches, image_size: int) -> tuple[nn.Module, CosineSoftmax]:
        """An untrained network of the dense shape and its loss, drawn from the batches' seed.

        Another draw than any that a dense network starts from: weights picked by what was trained from the same start
        would not be new ones.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(hashlib.sha256(f"scratch {batches.seed}".encode()).hexdigest()[:8], 16))
            settings = self.network_settings.model_copy(update={"weights": None})
            network = _untrained(settings, batches)
            return network, CosineSoftmax(self.classes, descriptor_size(network, image_size))

    def loss(self, descriptor_size: int) -> CosineSoftmax:
        """A fresh copy of the loss that the network was trained with, its class directions included."""
        loss = CosineSoftmax(self.classes, descriptor_size)
        loss.load_state_dict(safetensors.torch.load_file(self.folder / _LOSS))
        return loss

    def onnx(self) -> bytes:
        """The dense network as an ONNX model: what speed is compared with."""
        return (self.folder / _ONNX).read_bytes()


def build_dense(settings: NetworkSettings, weights: Path | str | None = None) -> nn.Module:
    """The dense network; `weights` in place of the settings' own when given."""
    return build_network(
        settings.name,
        pooling=settings.pooling,
        descriptor_size=settings.descriptor_size,
        weights=weights or settings.weights,
    )


def dense_groups(settings: TrialSettings, *, open_descriptor: bool = False) -> tuple[PrunableGroup, ...]:
    """The groups of the dense network, before it is trained: so what cannot be pruned is known first.

    Raises:
        ValueError: unknown weights or a shape that they do not fit, or a network whose channels cannot be traced.
    """
    if settings.network.weights == "imagenet":
        # Their shape is the network's own; fetching them is left to the training.
        settings = settings.model_copy(update={"network": settings.network.model_copy(update={"weights": None})})
    example = example_image(settings.data.image_size)
    return tuple(find_groups(build_dense(settings.network), example, open_descriptor=open_descriptor))


def baseline_identity(settings: TrialSettings) -> str:
    """Sixteen hex digits of all that the dense weights depend on: network, training, images and their size."""
    data = open_data(settings.data)
    start = Path(settings.network.weights or "")
    parts = {
        "network": settings.network.model_dump(),
        # A weights file may be replaced under the same name.
        "weights": hashlib.sha256(start.read_bytes()).hexdigest() if start.is_file() else None,
        "dense": settings.dense.model_dump(),
        "image_size": settings.data.image_size,
        "train": fingerprint(data.train.images),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def find_baseline(settings: TrialSettings, cache: Path) -> Baseline | None:
    """The finished baseline for these settings, or None when it has yet to be trained."""
    folder = cache / baseline_identity(settings)
    if not (folder / _CARD).is_file():
        return None
    card = json.loads((folder / _CARD).read_text())
    return Baseline(folder, settings.network, card["classes"])


def need_baseline(settings: TrialSettings, cache: Path) -> Baseline:
    """The finished baseline.

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
    """Train the dense network into `cache`, yielding each epoch as it is done.

    The folder appears whole, at the end: a training that was killed leaves no baseline, and the next one starts over.
    """
    data = open_data(settings.data)
    training = _dense_training(settings, data, device)
    curve = []
    while not training.finished:
        start = time.perf_counter()
        loss = training.train_epoch()
        scores = evaluate(describe_with(training.network, device), data.select_on, data.reader)
        seconds = time.perf_counter() - start
        curve.append(EpochPoint(epoch=training.epoch, loss=loss, map=scores.map, seconds=seconds))
        yield curve[-1]
    card = {
        "classes": len(data.train.classes),
        "settings": settings.model_dump(mode="json"),
        "curve": [point.model_dump() for point in curve],
        "provenance": provenance(device=str(device), threads=str(torch.get_num_threads())),
    }
    _save(training, card, cache / baseline_identity(settings), settings.data.image_size)


def _save(training: Training, card: dict[str, object], folder: Path, image_size: int) -> None:
    network, loss = training.network.cpu(), training.loss.cpu()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        unfinished = Path(name) / folder.name
        unfinished.mkdir()
        safetensors.torch.save_file(network.state_dict(), unfinished / _WEIGHTS)
        safetensors.torch.save_file(loss.state_dict(), unfinished / _LOSS)
        (unfinished / _ONNX).write_bytes(to_onnx(network, image_size))
        (unfinished / _CARD).write_text(json.dumps(card, indent=2))
        try:
            unfinished.rename(folder)
        except OSError:
            # Another sweep may have trained the same network meanwhile: the first one stays.
            if not (folder / _CARD).is_file():
                raise


def _dense_training(settings: TrialSettings, data: SweepData, device: torch.device) -> Training:
    torch.manual_seed(settings.dense.seed)
    dense = settings.dense
    batches = Batches(data.train, data.reader, dense.batch_size, dense.seed, dense.steps_per_epoch)
    network = _untrained(settings.network, batches)
    size = descriptor_size(network, settings.data.image_size)
    return Training(
        network,
        CosineSoftmax(len(data.train.classes), size),
        batches,
        epochs=settings.dense.epochs,
        learning_rate=settings.dense.learning_rate,
        weight_decay=settings.dense.weight_decay,
        device=device,
    )


def _untrained(settings: NetworkSettings, batches: Batches) -> nn.Module:
    """The network that a dense training starts from, drawn from torch's generator."""
    network = build_dense(settings)
    if isinstance(network, RetrievalNetwork) and isinstance(network.pooling, NetVLAD):
        _place_centroids_(network.backbone, network.pooling, batches)
    return network


@torch.no_grad()
def _place_centroids_(backbone: nn.Module, pooling: NetVLAD, batches: Batches) -> None:
    """NetVLAD starts from centroids among the backbone's own features, as its paper has it."""
    images = [images_NCHW for images_NCHW, _ in replace(batches, steps=_CENTROID_BATCHES).epoch(0)]
    maps_NCHW = torch.cat([backbone.eval()(images_NCHW) for images_NCHW in images])
    pooling.init_from_(maps_NCHW.movedim(1, -1).flatten(0, 2), seed=batches.seed)
    backbone.train()


@torch.no_grad()
def descriptor_size(network: nn.Module, image_size: int) -> int:
    """D of a network, found by running it."""
    training = network.training
    size = network.eval()(example_image(image_size)).shape[1]
    network.train(training)
    return int(size)

"""The deliverable: a folder with one configuration's network, everything that says what it is, and checksums."""

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from pydantic import BaseModel
from torch import nn

from pruning.surgery import plan_to_json
from retrieval.images import IMAGENET_MEAN, IMAGENET_STD
from retrieval.onnx_model import to_onnx
from search.config import SweepConfig
from search.storage import SweepStorage
from tracking.front import read_front
from tracking.provenance import provenance
from tracking.record import TrialRecord
from trainables.baseline import Baseline, need_baseline
from trainables.folder import TrialFolder
from trainables.scoring import score, trial_network
from trainables.settings import DataSettings, NetworkSettings, TrialSettings

CHECKSUMS = "SHA256SUMS"


class NetworkCard(BaseModel, frozen=True, extra="forbid"):
    """network.json: the dense shape that the plan cuts, and the data that the bundle's `test_map` was scored on.

    Images go in as RGB in [0, 1] with `mean` taken off and divided by `std`, their longer side `data.image_size`.
    """

    network: NetworkSettings
    data: DataSettings
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


def export(storage: SweepStorage, baselines: Path, number: int, out: Path) -> Path:
    """Write the bundle of one finished trial to the new folder `out`; it appears whole or not at all.

    model.onnx            images N×3×H×W → unit descriptors N×D, sizes open
    weights.safetensors   the cut network's state dict
    network.json          the dense architecture that `plan.json` cuts, image size, normalisation
    plan.json             group id → kept channels
    schedule.json         how the trial pruned and trained
    metrics.json          what it scored, `test_map` included
    provenance.json       of the trial and of this export
    SHA256SUMS            of all of these, in the form that `sha256sum -c` reads

    Raises:
        ValueError: no such finished trial, or `out` is there already.
    """
    out = out.expanduser().resolve()
    if out.exists():
        raise ValueError(f"{out} is there already: name a new folder for the bundle")
    config = storage.config()
    settings = config.trial_settings
    baseline = need_baseline(settings, baselines)
    network = trial_network(settings, baseline, storage.path, number)
    folder = TrialFolder(storage.path, number)
    record = folder.record()
    assert record is not None
    assert record.schedule is not None
    # The weights are the bundle's own; where the dense network's once lay is of no use elsewhere.
    shape = settings.network.model_copy(update={"weights": None})
    card = NetworkCard(network=shape, data=settings.data)
    files = {
        "model.onnx": to_onnx(network, settings.data.image_size),
        "weights.safetensors": folder.weights(),
        "network.json": card.model_dump_json(indent=2).encode(),
        "plan.json": plan_to_json(record.plan).encode(),
        "schedule.json": record.schedule.model_dump_json(indent=2).encode(),
        "metrics.json": _json(_metrics(storage, record, settings, network)),
        "provenance.json": _json(_origin(record, config, baseline)),
    }
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as name:
        unfinished = Path(name) / out.name
        unfinished.mkdir()
        for file, content in {**files, CHECKSUMS: sums.encode()}.items():
            (unfinished / file).write_bytes(content)
        unfinished.rename(out)
    return out


def _metrics(
    storage: SweepStorage, record: TrialRecord, settings: TrialSettings, network: nn.Module
) -> dict[str, float]:
    metrics = dict(record.metrics)
    if (storage.path / "front.json").is_file():
        # What the front shows, measured after the search, is what the bundle says.
        points = {point.number: point for point in read_front(storage.path).points}
        metrics = points[record.number].metrics if record.number in points else metrics
    if "test_map" not in metrics:  # only the front's members were scored on the test queries
        metrics = {**metrics, **score(network, settings, "report_on", torch.device("cpu"))}
    return metrics


def _origin(record: TrialRecord, config: SweepConfig, baseline: Baseline) -> dict[str, object]:
    sweep = {
        "name": config.name,
        "identity": config.identity,
        "trial": record.number,
        "baseline": baseline.folder.name,
    }
    return {"sweep": sweep, "trial": record.provenance, "export": provenance()}


def _json(content: object) -> bytes:
    return json.dumps(content, indent=2).encode()

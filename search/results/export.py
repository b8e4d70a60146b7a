"""The bundle, which is what a sweep delivers: one trial's network, everything that describes it, and checksums."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import safetensors.torch
import torch
from pydantic import BaseModel
from torch import nn

from pruning.schedule import Schedule
from pruning.surgery import plan_to_json
from retrieval.images import IMAGENET_MEAN, IMAGENET_STD
from retrieval.runtime.onnx_model import to_onnx
from search.config import SweepConfig
from search.storage import SweepStorage
from tracking.format_version import JsonFormat
from tracking.front import read_front
from tracking.provenance import provenance
from tracking.record import TrialRecord
from trainables.baseline import Baseline, need_baseline
from trainables.data import open_data
from trainables.evaluate_trial import trial_network
from trainables.folder import PACKED, PLAIN, TrialFolder
from trainables.retrieval_quality import QualityEvaluator
from trainables.settings import DataSettings, DescriptorSettings, EvaluationSettings, NetworkSettings, traced_size

CHECKSUMS = "SHA256SUMS"
# Files of every bundle; see `contents_of`.
CONTENTS = (
    "model.onnx",
    PLAIN,
    "network.json",
    "plan.json",
    "schedule.json",
    "metrics.json",
    "provenance.json",
)


class NetworkCard(BaseModel, frozen=True, extra="forbid"):
    """network.json: the dense shape that the plan cuts, and the data that the bundle's `test_map` was scored on.

    Images go in as RGB in [0, 1], minus `mean`, divided by `std`, at `data.image_size`.

    Attributes:
        network: the dense network.
        classes: number of classes of the training set.
        descriptor: the scales and the whitening that the delivered network holds.
        data: the data set.
        evaluation: how `test_map` was scored.
        mean: of each channel.
        std: of each channel.
    """

    network: NetworkSettings
    classes: int
    descriptor: DescriptorSettings
    data: DataSettings
    evaluation: EvaluationSettings
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def scored_data(self, root: Path | None = None) -> DataSettings:
        """Return the data settings for scoring the test images again, read as they were when `test_map` was scored.

        Args:
            root: of the data sets, where they have moved.
        """
        # Bundles of the time before the key existed were scored without turning a picture.
        read = {"exif_orientation": self.data.exif_orientation or "ignore"}
        return self.data.model_copy(update=read if root is None else {**read, "root": root.resolve()})


NETWORK_JSON = JsonFormat("a bundle's network card", NetworkCard)
"""Its format version is that of the whole bundle."""


def contents_of(schedule: Schedule) -> tuple[str, ...]:
    """Return the names of a bundle's files without the checksums; coded weights add their packed file."""
    return (*CONTENTS, PACKED) if schedule.quantization else CONTENTS


@dataclass(frozen=True)
class Source:
    """The source of a bundle: one finished trial of a sweep, checked to have everything that the bundle needs.

    Attributes:
        storage: of the sweep.
        config: of the sweep.
        record: of the trial.
        baseline: the dense network.
        out: the new folder of the bundle.
    """

    storage: SweepStorage
    config: SweepConfig
    record: TrialRecord
    baseline: Baseline
    out: Path


def find_source(storage: SweepStorage, number: int, out: Path, baselines: Path | None = None) -> Source:
    """Find a trial to export.

    Args:
        storage: of the sweep.
        number: of the trial.
        out: the folder of the bundle, which must not exist yet.
        baselines: where the dense network lies, if it was moved since the sweep.

    Raises:
        ValueError: the folder holds no sweep, there is no such finished trial, or `out` exists.
        FileNotFoundError: the dense network is not there.
    """
    out = out.expanduser().resolve()
    if out.exists():
        raise ValueError(f"{out} is there already: name a new folder for the bundle")
    card = storage.card()
    record = TrialFolder(storage.path, number).record()
    if record is None or record.status != "finished":
        raise ValueError(
            f"trial {number} in {storage.path} is {record.status if record else 'not there'}, not finished"
        )
    baselines_dir = baselines.resolve() if baselines else card.baselines
    return Source(storage, card.config, record, need_baseline(card.config.trial_settings, baselines_dir), out)


def export(source: Source) -> Path:
    """Write the bundle to the new folder `source.out`, completely or not at all, and return that folder.

    model.onnx            images N×3×H×W → unit descriptors N×D, sizes open
    weights.safetensors   the cut network's state dict
    network.json          the dense architecture that `plan.json` cuts, image size, normalisation
    plan.json             group id → kept channels
    schedule.json         how the trial pruned and trained
    metrics.json          what it scored, `test_map` included
    provenance.json       of the trial and of this export
    weights.packed        of coded weights: the small file that weights.safetensors is unpacked from, to the bit
    SHA256SUMS            of all of these, in the form that `sha256sum -c` reads
    """
    record, settings, out = source.record, source.config.trial_settings, source.out
    assert record.schedule is not None
    network = trial_network(settings, source.baseline, source.storage.path, record.number)
    # The bundle has its own weights; the path of the dense network's is of no use elsewhere.
    shape = settings.network.model_copy(update={"weights": None})
    card = NetworkCard(
        network=shape,
        classes=source.baseline.classes,
        descriptor=settings.descriptor,
        # As the test images were read, whatever their format says where the bundle goes.
        data=settings.data.model_copy(update={"exif_orientation": open_data(settings.data).report_on.exif_orientation}),
        evaluation=settings.evaluation,
    )
    files = {
        "model.onnx": to_onnx(network, traced_size(settings.data.image_size)),
        PLAIN: safetensors.torch.save(network.state_dict()),
        "network.json": NETWORK_JSON.dump(card).encode(),
        "plan.json": plan_to_json(record.plan).encode(),
        "schedule.json": record.schedule.model_dump_json(indent=2).encode(),
        "metrics.json": _json(_metrics(source, network)),
        "provenance.json": _json(_origin(source)),
    }
    if (packed := TrialFolder(source.storage.path, record.number).packed()) is not None:
        files[PACKED] = packed
    assert tuple(files) == contents_of(record.schedule)
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as name:
        unfinished = Path(name) / out.name
        unfinished.mkdir()
        for file, content in {**files, CHECKSUMS: sums.encode()}.items():
            (unfinished / file).write_bytes(content)
        unfinished.rename(out)
    return out


def _metrics(source: Source, network: nn.Module) -> dict[str, float]:
    metrics, path = source.record.metrics, source.storage.path
    if (path / "front.json").is_file():
        # The front's figures, measured after the search, replace those of the record.
        points = {point.number: point for point in read_front(path).points}
        metrics = points[source.record.number].metrics if source.record.number in points else metrics
    if "test_map" not in metrics:  # only the front's members were scored on the test queries
        settings = source.config.trial_settings
        evaluator = QualityEvaluator(settings, source.baseline, torch.device("cpu"))
        metrics = {**metrics, **evaluator.split_metrics(network, "report_on")}
    return metrics


def _origin(source: Source) -> dict[str, object]:
    config, record = source.config, source.record
    sweep = {
        "name": config.name,
        "identity": config.identity,
        "trial": record.number,
        "baseline": source.baseline.folder.name,
    }
    return {"sweep": sweep, "trial": record.provenance, "export": provenance()}


def _json(content: object) -> bytes:
    return json.dumps(content, indent=2).encode()

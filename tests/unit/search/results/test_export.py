"""Bundles of one trial that was cut but not trained; that a bundle is verified is tests/flow's."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from pruning.coding.packing import pack
from pruning.coding.quantize import quantize_, quantized_weights
from pruning.coding.sparsity import coded_layers, release_
from pruning.schedule import Quantization, Schedule
from pruning.surgery import cut, plan_from_json
from retrieval.runtime.onnx_model import describe_in, open_session
from search.config import load_config
from search.results import export as export_module
from search.results.export import NETWORK_JSON, NetworkCard, Source, export, find_source
from search.storage import SweepStorage
from tracking.front import build_front
from tracking.record import TrialRecord
from trainables.folder import TrialFolder
from trainables.settings import DataSettings, DescriptorSettings, EvaluationSettings, NetworkSettings
from trainables.trial import replay

PLAN = {"backbone.conv1": tuple(range(0, 32, 2))}
METRICS = {"map": 0.5, "test_map": 0.4, "speedup": 2.0}
SCHEDULE = Schedule(method="l1", ratios={"backbone.conv1": 0.5}, epochs=1, learning_rate=0.1)
IMAGES_NCHW = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def end(storage: SweepStorage, record: TrialRecord, **files) -> None:
    folder = TrialFolder(storage.path, record.number)
    folder.acquire("a worker")
    folder.finish(record, **files)


@pytest.fixture
def storage(tiny_sweep, tiny_baseline, tmp_path) -> SweepStorage:
    """A sweep of a finished trial 0 and a failed trial 1."""
    storage = SweepStorage(tmp_path / "sweep")
    storage.claim(load_config(tiny_sweep), "data", tiny_baseline.folder.parent)
    network = cut(tiny_baseline.network(), PLAN, torch.zeros(1, 3, 64, 64))
    fields = {"schedule": SCHEDULE, "metrics": METRICS, "plan": PLAN, "provenance": {"device": "cpu"}}
    end(storage, TrialRecord(number=0, status="finished", **fields), network=network)
    end(storage, TrialRecord(number=1, status="failed", message="diverged", schedule=SCHEDULE))
    return storage


@pytest.fixture
def source(storage, tmp_path) -> Source:
    return find_source(storage, 0, tmp_path / "bundle")


@pytest.fixture
def without_onnx(monkeypatch) -> None:
    """Tracing a model takes seconds, and only its bytes matter."""
    monkeypatch.setattr(export_module, "to_onnx", lambda network, size: b"a model")


def test_a_bundle_is_the_network_of_the_trial_in_each_of_its_forms(source, tiny_baseline):
    bundle = export(source)
    weights = safetensors.torch.load_file(bundle / "weights.safetensors")
    plan = plan_from_json((bundle / "plan.json").read_text())
    assert plan == PLAN
    assert len(weights["backbone.conv1.weight"]) == 16
    network = replay(tiny_baseline.network(), plan, weights, 64, source.config.descriptor)
    with torch.no_grad():
        expected_ND = network(IMAGES_NCHW).numpy()
    onnx_ND = describe_in(open_session((bundle / "model.onnx").read_bytes()))(IMAGES_NCHW)
    assert np.abs(onnx_ND - expected_ND).max() < 1e-5


def test_any_sha256sum_can_check_a_bundle(source, without_onnx):
    bundle = export(source)
    listed = {line.split()[1] for line in (bundle / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in bundle.iterdir()} - {"SHA256SUMS"}
    checked = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=bundle, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_a_bundle_says_where_it_comes_from_and_not_where_the_weights_lay(source, tiny_baseline, without_onnx):
    network = source.config.network.model_copy(update={"weights": "/home/ada/secret.pt"})
    config = source.config.model_copy(update={"network": network})
    bundle = export(replace(source, config=config))
    card = NETWORK_JSON.read(bundle / "network.json")
    assert (card.network, card.classes) == (network.model_copy(update={"weights": None}), 16)
    origin = json.loads((bundle / "provenance.json").read_text())
    assert origin["sweep"] == {
        "name": "tiny",
        "identity": config.identity,
        "trial": 0,
        "baseline": tiny_baseline.folder.name,
    }
    assert origin["trial"] == {"device": "cpu"}
    assert origin["export"]["time_utc"] > "2026"
    assert Schedule.model_validate_json((bundle / "schedule.json").read_bytes()) == SCHEDULE


def test_coded_weights_come_packed_too_as_the_trial_left_them(storage, tiny_baseline, tmp_path, without_onnx):
    network = cut(tiny_baseline.network(), PLAN, torch.zeros(1, 3, 64, 64))
    quantize_(network, dict.fromkeys(coded_layers(network), 4), "kmeans")
    coded = quantized_weights(network)
    release_(network)
    packed = pack(network.state_dict(), coded)
    schedule = SCHEDULE.model_copy(update={"quantization": Quantization(bits=4)})
    record = TrialRecord(number=2, status="finished", schedule=schedule, metrics=METRICS, plan=PLAN)
    end(storage, record, packed=packed)
    bundle = export(find_source(storage, 2, tmp_path / "bundle"))
    assert (bundle / "weights.packed").read_bytes() == packed
    assert "weights.packed" in (bundle / "SHA256SUMS").read_text()
    plain = safetensors.torch.load_file(bundle / "weights.safetensors")
    assert plain.keys() == network.state_dict().keys()
    assert all(torch.equal(plain[name], tensor) for name, tensor in network.state_dict().items())


def metrics_of(bundle: Path) -> dict[str, float]:
    metrics = json.loads((bundle / "metrics.json").read_text())
    assert isinstance(metrics, dict)
    return metrics


def write_front(source: Source, number: int, metrics: dict[str, float]) -> None:
    record = TrialRecord(number=number, status="finished", schedule=SCHEDULE, metrics=metrics)
    front = build_front("tiny", [record], {"map": 0.6}, provenance={})
    (source.storage.path / "front.json").write_text(front.model_dump_json())


def test_what_was_measured_after_the_search_replaces_what_the_trial_measured(source, without_onnx):
    write_front(source, 0, {**METRICS, "speedup": 1.8})
    assert metrics_of(export(source)) == {**METRICS, "speedup": 1.8}


def test_a_trial_that_the_front_does_not_name_has_the_figures_of_its_record(source, without_onnx):
    write_front(source, 7, {**METRICS, "speedup": 1.8})
    assert metrics_of(export(source)) == METRICS


def test_a_trial_off_the_front_is_scored_on_the_test_queries_now(source, without_onnx):
    untested = source.record.model_copy(update={"metrics": {"map": 0.5, "speedup": 2.0}})
    metrics = metrics_of(export(replace(source, record=untested)))
    assert (metrics["map"], metrics["speedup"]) == (0.5, 2.0)
    assert 0 < metrics["test_map_low"] <= metrics["test_map"] <= metrics["test_map_high"] <= 1


def test_a_full_disk_leaves_nothing_of_a_bundle(source, without_onnx, full_disk, tmp_path):
    before = sorted(tmp_path.iterdir())
    with full_disk(), pytest.raises(OSError, match="File too large"):
        export(source)
    assert sorted(tmp_path.iterdir()) == before


def test_folders_above_a_bundle_are_made(storage, tmp_path, without_onnx):
    out = tmp_path / "for" / "the phone" / "bundle"
    assert export(find_source(storage, 0, out)) == out
    assert [path.name for path in out.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize(
    ("number", "reason"), [(1, "trial 1 in .*sweep is failed, not finished"), (9, "trial 9 in .*sweep is not there")]
)
def test_only_a_finished_trial_can_be_exported(storage, tmp_path, number, reason):
    with pytest.raises(ValueError, match=reason):
        find_source(storage, number, tmp_path / "bundle")


@pytest.mark.parametrize("there", ["an empty folder", "a file"])
def test_what_exists_is_never_written_over(storage, tmp_path, there):
    out = tmp_path / "bundle"
    out.mkdir() if there == "an empty folder" else out.write_text("mine")
    with pytest.raises(ValueError, match=r"bundle is there already: name a new folder for the bundle$"):
        find_source(storage, 0, out)


def test_a_dense_network_that_was_moved_is_found_where_it_is_said_to_be(storage, tiny_baseline, tmp_path):
    elsewhere = tmp_path / "moved"
    with pytest.raises(FileNotFoundError, match=rf"no trained baseline in {elsewhere}.* was it moved\?"):
        find_source(storage, 0, tmp_path / "bundle", elsewhere)
    shutil.copytree(tiny_baseline.folder, elsewhere / tiny_baseline.folder.name)
    assert find_source(storage, 0, tmp_path / "bundle", elsewhere).baseline.folder.parent == elsewhere


def test_a_folder_without_a_sweep_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"holds no sweep \(no sweep\.json\)"):
        find_source(SweepStorage(tmp_path), 0, tmp_path / "bundle")


def card_for(tmp_path, **keys) -> NetworkCard:
    return NetworkCard(
        network=NetworkSettings(name="mini_resnet"),
        classes=2,
        descriptor=DescriptorSettings(),
        data=DataSettings(root=tmp_path, image_size=64, **keys),
        evaluation=EvaluationSettings(),
    )


@pytest.mark.parametrize("treatment", ["apply", "ignore"])
def test_test_images_are_scored_again_as_they_were_read_at_the_export(tmp_path, treatment):
    (tmp_path / "network.json").write_text(NETWORK_JSON.dump(card_for(tmp_path, exif_orientation=treatment)))
    card = NETWORK_JSON.read(tmp_path / "network.json")
    assert card.scored_data() == card.data
    moved = card.scored_data(tmp_path / "moved")
    assert (moved.exif_orientation, moved.root) == (treatment, tmp_path / "moved")


def test_a_bundle_from_before_orientations_were_applied_is_scored_without_turning(tmp_path):
    assert card_for(tmp_path).scored_data().exif_orientation == "ignore"

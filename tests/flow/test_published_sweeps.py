"""The sweep files of the published benchmarks, on the miniature one written in their formats, from sweep to bundle."""

import json
from pathlib import Path

import pytest

from retrieval.datasets.miniature.mini import MiniSettings, write_mini
from search.config import load_config
from trainables.data import open_data

SWEEPS = Path(__file__).resolve().parents[2] / "search" / "sweeps"
SMALL = MiniSettings(training_places=28, views=4, places=5, positives=4, distractors=10)

# file → (format, the data root below what is written, settings that make it small)
LANDMARKS = {
    "data.image_size": 64,
    "data.training_size": 48,
    "latency.image_size": 64,
    "loss.queries": 4,
    "loss.pool": 40,
    "descriptor.size": 8,
    "descriptor.images": 40,
    "dense.batch_size": 2,
    "finetune.batch_size": 2,
}
PLACES = {**LANDMARKS, "data.image_size": [48, 64], "latency.image_size": [48, 64]}
del PLACES["data.training_size"]
PEOPLE = {"data.image_size": [64, 32], "latency.image_size": [64, 32], "loss.classes_per_batch": 4}
CASES = {
    "oxford_resnet50_gem": ("roxford5k", ".", LANDMARKS),
    "oxford_resnet101_gem": ("rparis6k", ".", {**LANDMARKS, "data.report_on": "test/rparis6k"}),
    "oxford_vgg16_netvlad": ("oxford5k", ".", {**LANDMARKS, "data.report_on": "test/oxford5k"}),
    "market1501_resnet50": ("market1501", ".", PEOPLE),
    "pitts30k_vgg16_netvlad": ("pitts30k", "pitts30k", PLACES),
}
FEW_STEPS = {
    "network.weights": "random",
    "dense.epochs": 1,
    "dense.steps_per_epoch": 2,
    "finetune.epochs": 1,
    "finetune.steps_per_epoch": 1,
    "finetune.recalibration_steps": 1,
    "sensitivity.ratios": [0.5],
    "latency.pairs": 25,
    "resources.cpus": 1,
    "resources.gpus": 0,
}
EXPECTED = {
    "oxford_resnet50_gem": {"test_map_easy", "test_map_hard", "test_mp_at_10"},
    "market1501_resnet50": {"test_map_step", "test_cmc_at_1"},
    "pitts30k_vgg16_netvlad": {"recall_at_1", "test_recall_at_20"},
}


def test_every_sweep_file_of_a_published_benchmark_is_tried_here():
    assert set(CASES) == {file.stem for file in SWEEPS.glob("*.toml")} - {"demo", "demo_pq"}


def small(name: str, folder: Path) -> tuple[Path, list[str]]:
    """The data root of a sweep file, written, and the words that make the sweep small."""
    written, below, changes = CASES[name]
    write_mini(folder / "data", seed=0, settings=SMALL, format=written)
    return folder / "data" / below, [f"{key}={json.dumps(value)}" for key, value in {**FEW_STEPS, **changes}.items()]


@pytest.mark.parametrize("name", CASES)
def test_the_file_is_valid_and_opens_the_data_in_its_format(name, tmp_path):
    root, changes = small(name, tmp_path)
    plain = load_config(SWEEPS / f"{name}.toml", data=root)
    assert plain.network.weights == "imagenet"
    config = load_config(SWEEPS / f"{name}.toml", data=root, overrides=changes)
    data = open_data(config.data)
    config.check_reported(data.select_on.protocol)
    assert data.select_on.queries
    assert set(data.train.images).isdisjoint(data.report_on.images)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", EXPECTED)
def test_the_sweep_runs_to_a_bundle_that_verifies(name, tmp_path, prunefront):
    root, changes = small(name, tmp_path)
    storage, words = tmp_path / "sweep", [word for change in changes for word in ("--set", change)]
    words += ["--data", root, "--storage", storage, "--trials", 1]
    swept = prunefront("sweep", SWEEPS / f"{name}.toml", *words, timeout=900)
    assert swept.returncode == 0, swept.stderr
    front = json.loads((storage / "front.json").read_text())
    (point,) = front["points"]
    assert point["metrics"].keys() >= EXPECTED[name] | {"map", "test_map", "speedup", "descriptor_size"}
    assert prunefront("export", storage, 0, "--out", tmp_path / "bundle").returncode == 0
    verified = prunefront("verify", tmp_path / "bundle")
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.count("ok  ") == 3

"""One seed's data, dense network and trials: what `python -m benchmarks.methods` runs in processes of its pool."""

import json
from pathlib import Path

import torch

from benchmarks.methods.cases import Case, cases_of
from pruning.graph.groups import find_groups
from retrieval.datasets.miniature.mini import write_mini
from search.config import load_config
from tracking.files import write_atomically
from tracking.provenance import provenance
from trainables.baseline import find_baseline, need_baseline, train_baseline
from trainables.evaluate_trial import dense_metrics
from trainables.retrieval_quality import QualityEvaluator
from trainables.settings import TrialSettings, example_image
from trainables.trial import Trial

DENSE_EPOCHS = 30
ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")


def settings_of(seed: int, runs: Path) -> TrialSettings:
    """The demo's settings on the benchmark of that seed, everything else seeded alike."""
    settings = load_config(ROOT / "search" / "sweeps" / "demo.toml", data=runs / f"data-{seed}").trial_settings
    # Longer than the demo's: what a trial gains by training on must not hide what its cut costs.
    dense = settings.dense.model_copy(update={"seed": seed, "epochs": DENSE_EPOCHS})
    finetune = settings.finetune.model_copy(update={"seed": seed})
    return settings.model_copy(update={"dense": dense, "finetune": finetune})


def prepare(seed: int, runs: Path) -> list[Case]:
    """Draw the benchmark, train the dense network and score it; returns the seed's cases."""
    write_mini(runs / f"data-{seed}", seed=seed)
    settings = settings_of(seed, runs)
    if find_baseline(settings, runs / "baselines") is None:
        for _ in train_baseline(settings, runs / "baselines", CPU):
            pass
    baseline = need_baseline(settings, runs / "baselines")
    if not (path := result_path(runs, seed, "dense")).is_file():
        write_atomically(path, json.dumps({"metrics": dense_metrics(settings, baseline, CPU)}))
    network, example = baseline.network(), example_image(settings.data.image_size)
    return cases_of(network, find_groups(network, example), example)


def run_case(case: Case, seed: int, runs: Path) -> str:
    """Carry out one trial, score it on the test queries, and keep the result; returns a line about it."""
    settings = settings_of(seed, runs)
    trial = Trial(case.schedule, settings, need_baseline(settings, runs / "baselines"))
    while not trial.finished:
        trial.step()
    outcome = trial.finish(measure=None)  # trials run side by side here
    metrics = {
        **outcome.metrics,
        **QualityEvaluator(settings, trial.baseline, CPU).split_metrics(outcome.network, "report_on"),
    }
    result = {
        "name": case.name,
        "method": case.method,
        "seed": seed,
        "target": case.target,
        "bits": case.bits,
        "grid": case.grid,
        "schedule": case.schedule.model_dump(mode="json"),
        "metrics": metrics,
        "curve": [point.map for point in trial.curve],
        "provenance": provenance(device="cpu", threads="1"),
    }
    write_atomically(result_path(runs, seed, case.name), json.dumps(result, indent=1))
    return f"seed {seed}  {case.name:26} MACs ÷{metrics['mac_ratio']:.2f}  test mAP {metrics['test_map']:.1%}"


def result_path(runs: Path, seed: int, name: str) -> Path:
    """Where a trial's result is kept."""
    return runs / "results" / str(seed) / f"{name}.json"

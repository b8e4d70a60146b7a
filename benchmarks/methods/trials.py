"""The methods beside each other on the miniature benchmark, several seeds: writes docs/results/methods.md.

    python -m benchmarks.methods            # about an hour on 2 cores; goes on where it was interrupted
    python -m benchmarks.methods --seeds 9  # another seed, to try things on: writes no document

A seed is that of the drawn places, of the dense network and of the fine-tuning. Each trial is scored on the test
queries once, by what its schedule gives: nothing is selected, and no setting was tuned on these seeds.
"""

import argparse
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress, TaskID

from benchmarks.methods_cases import Case, cases_of
from benchmarks.methods_table import write_document
from pruning.graph.groups import find_groups
from retrieval.datasets.miniature.mini import write_mini
from search.config import load_config
from tracking.files import write_atomically
from tracking.provenance import provenance
from trainables.baseline import find_baseline, need_baseline, train_baseline
from trainables.evaluate_trial import dense_metrics, score
from trainables.settings import TrialSettings, example_image
from trainables.threads import available_threads, use_threads
from trainables.trial import Trial

SEEDS = (0, 1, 2)
DENSE_EPOCHS = 30
ROOT = Path(__file__).resolve().parent.parent
CPU = torch.device("cpu")


def main() -> None:
    """Run what has no result yet, then write the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="default: 0 1 2")
    parser.add_argument("--runs", type=Path, default=Path("runs/methods"), help="where results are kept")
    parser.add_argument("--only", default="", help="run the cases whose name begins with this")
    choices = parser.parse_args()
    console = Console()
    with ProcessPoolExecutor(
        available_threads(), mp_context=multiprocessing.get_context("spawn"), initializer=use_threads, initargs=(1,)
    ) as pool:
        _run_all(pool, choices.seeds, choices.runs, choices.only, console)
    if tuple(choices.seeds) == SEEDS and not choices.only:
        write_document(choices.runs, SEEDS, ROOT / "docs")
        console.print("docs/results/methods.md is written")


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
    metrics = {**outcome.metrics, **score(outcome.network, settings, "report_on", trial.baseline, CPU)}
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


def _run_all(pool: ProcessPoolExecutor, seeds: Sequence[int], runs: Path, only: str, console: Console) -> None:
    with Progress(console=console) as progress:
        task = progress.add_task("drawing and training dense", total=len(seeds))
        cases = []
        for future in _each(progress, task, {pool.submit(prepare, seed, runs): seed for seed in seeds}):
            cases += [(case, future[1]) for case in future[0].result() if case.name.startswith(only)]
        left = [(case, seed) for case, seed in cases if not result_path(runs, seed, case.name).is_file()]
        task = progress.add_task("trials", total=len(left))
        for done, _ in _each(progress, task, {pool.submit(run_case, case, seed, runs): seed for case, seed in left}):
            console.print(done.result(), highlight=False)


def _each(progress: Progress, task: TaskID, futures: dict[Future, int]) -> Iterator[tuple[Future, int]]:
    for future in as_completed(futures):
        progress.advance(task)
        yield future, futures[future]


if __name__ == "__main__":
    main()

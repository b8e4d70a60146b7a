"""Record a table of real trials on the miniature benchmark, with all their epochs: what search is measured on.

    python -m benchmarks.record_table --out benchmarks/data/mini_resnet.parquet   # an hour on 2 cores

Draws the benchmark and trains the dense network where they are missing, then runs random schedules, two at a time, and
keeps each in `--runs` as it ends: interrupted, the same command goes on. When as many as asked are there, it writes the
table (see `trainables.simulation.recorded`).

The first trials are the ladder, all groups alike. Of the others every second one has a level, a tilt (over ranks of the
groups that are drawn anew for each trial) and small offsets; the rest have a ratio of its own for each group. No
schedule follows from another's result, so the table favours no way of searching.
"""

import argparse
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from pruning.decay import default_decay
from pruning.graph.groups import PrunableGroup
from pruning.methods.registry import get_method
from pruning.schedule import Schedule
from pruning.widths import can_narrow, kept_count
from retrieval.datasets.miniature.mini import write_mini
from search.config import load_config
from spaces.params import params_of
from tracking.files import write_atomically
from tracking.provenance import provenance
from tracking.record import TrialRecord, write_record
from tracking.sensitivity import SensitivityMap, SensitivitySettings
from trainables.baseline import baseline_identity, dense_groups, find_baseline, need_baseline, train_baseline
from trainables.folder import read_records
from trainables.sensitivity import Probe, measure_dense, measure_group
from trainables.settings import TrialSettings
from trainables.simulation.recorded import RecordedTable, write_table
from trainables.threads import available_threads, use_threads
from trainables.trial import Trial

ROOT = Path(__file__).resolve().parent.parent
DATA = Path("data/mini")
SEED = 0
METHODS = ("plfp", "l1", "fpgm")
LADDER = (0.0, 0.25, 0.5, 0.75, 0.9)
HIGHEST_LEVEL, OFFSET, HIGHEST_RATIO, HIGHEST_DECAY = 0.9, 0.15, 0.95, 0.6  # of the preset "filters"
ROUND_TO, LEARNING_RATE = 8, 2e-3
# A fifth of the demo's steps, three times its epochs: a curve that can be stopped, in a quarter of a minute a trial.
EPOCHS, STEPS_PER_EPOCH = 9, 15


def main() -> None:
    """Record what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the table, .parquet")
    parser.add_argument("--trials", type=int, default=240)
    parser.add_argument("--workers", type=int, default=available_threads(), help="trials at a time, one thread each")
    parser.add_argument("--runs", type=Path, default=Path("runs/record_table"), help="where trials are kept")
    parser.add_argument("--data", type=Path, default=DATA, help="the benchmark, drawn where missing")
    parser.add_argument("--baselines", type=Path, default=Path("runs/baselines"), help="dense networks")
    choices = parser.parse_args()
    console = Console()
    settings = settings_for(choices.data)
    _claim(choices.runs, settings)
    write_mini(choices.data, seed=SEED)
    if find_baseline(settings, choices.baselines) is None:
        for point in train_baseline(settings, choices.baselines, torch.device("cpu")):
            console.print(f"dense epoch {point.epoch}: mAP {point.map:.1%}")
    groups = dense_groups(settings)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(choices.workers, context, initializer=_begin) as pool:
        _record_all(pool, settings, groups, choices, console)
        sensitivity = _sensitivity_map(pool, settings, free_groups(groups), choices.baselines)
    records = read_records(choices.runs)[: choices.trials]
    # The table goes elsewhere, with the project.
    data = settings.data.model_copy(update={"root": DATA})
    write_table(choices.out, records, groups, settings.model_copy(update={"data": data}), sensitivity)
    console.print(f"{choices.out}: {len(records)} trials, {choices.out.stat().st_size / 1e3:.0f} kB")
    maps, speed = RecordedTable(choices.out).left_out_errors()
    shown = ", ".join(f"{100 * error:.1f}" for error in maps)
    console.print(f"answers for a trial that was left out are off by {shown} points of mAP (epoch by epoch)")
    console.print(f"and by {speed:.1%} of its speedup (root mean squares)")


def settings_for(data: Path) -> TrialSettings:
    """The demo's settings, with fewer steps in an epoch."""
    overrides = [f"finetune.steps_per_epoch={STEPS_PER_EPOCH}"]
    return load_config(ROOT / "search" / "sweeps" / "demo.toml", data=data, overrides=overrides).trial_settings


def free_groups(groups: tuple[PrunableGroup, ...]) -> tuple[PrunableGroup, ...]:
    """Those that a trial may take channels from."""
    return tuple(group for group in groups if not group.locked and can_narrow(group.width, ROUND_TO))


def schedule_for(number: int, groups: tuple[PrunableGroup, ...]) -> Schedule:
    """The schedule of a trial: a function of its number alone."""
    free = free_groups(groups)
    rungs = [(method, level) for level in LADDER for method in METHODS if level or method == METHODS[0]]
    rng = np.random.default_rng([SEED, number])
    if number < len(rungs):
        name, level = rungs[number]
        ratios_G, decay = np.full(len(free), level), default_decay(level)
    else:
        name = METHODS[int(rng.integers(len(METHODS)))]
        ratios_G = _tilted(rng, len(free)) if number % 2 else rng.uniform(0, HIGHEST_LEVEL, len(free))
        decay = round(float(rng.uniform(0, HIGHEST_DECAY)), 2)
    return Schedule(
        method=name,
        ratios={group.id: _on_grid(group.width, ratio) for group, ratio in zip(free, ratios_G, strict=True)},
        decay=decay if "decay" in get_method(name).hyperparameters() else None,
        epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        round_to=ROUND_TO,
    )


def run_trial(number: int, schedule: Schedule, settings: TrialSettings, baselines: Path, runs: Path) -> str:
    """Carry one trial out and keep its record; returns a line about it."""
    trial = Trial(schedule, settings, need_baseline(settings, baselines))
    while not trial.finished:
        trial.step()
    outcome = trial.finish()
    record = TrialRecord(
        number=number,
        status="finished",
        schedule=schedule,
        params=params_of(schedule),
        curve=tuple(trial.curve),
        metrics=outcome.metrics,
        plan=dict(outcome.plan),
        ledger=outcome.ledger,
        provenance=provenance(
            device="cpu",
            threads="1",
            seed=str(settings.finetune.seed),
            baseline=baseline_identity(settings),
        ),
    )
    write_record(runs / "trials" / str(number) / "record.json", record)
    metrics = outcome.metrics
    return (
        f"trial {number:>3} {schedule.method:5} mAP {metrics['map']:.1%}  speedup ×{metrics['speedup']:.2f}  "
        f"MACs ÷{metrics['mac_ratio']:.2f}  {metrics['seconds']:.0f} s"
    )


def _tilted(rng: np.random.Generator, count: int) -> np.ndarray:
    level, tilt = rng.uniform(0, HIGHEST_LEVEL), rng.uniform(0, 1)
    ranks_G = rng.permutation(np.linspace(-0.5, 0.5, count))
    return level + tilt * ranks_G + rng.uniform(-OFFSET, OFFSET, count)


def _on_grid(width: int, ratio: float) -> float:
    """The ratio that says exactly how many channels go, so that equal widths are equal schedules."""
    return (width - kept_count(width, min(max(ratio, 0.0), HIGHEST_RATIO), ROUND_TO)) / width


def _claim(runs: Path, settings: TrialSettings) -> None:
    """Refuse a folder of trials that trained otherwise: they would be mixed in one table."""
    path, wanted = runs / "settings.json", settings.model_dump_json(exclude={"data": {"root"}}, indent=1)
    if path.is_file() and path.read_text() != wanted:
        raise SystemExit(f"{runs} holds trials of other settings, see {path}: name another folder with --runs")
    write_atomically(path, wanted)


def _record_all(
    pool: ProcessPoolExecutor,
    settings: TrialSettings,
    groups: tuple[PrunableGroup, ...],
    choices: argparse.Namespace,
    console: Console,
) -> None:
    kept = {record.number for record in read_records(choices.runs)}
    left = [number for number in range(choices.trials) if number not in kept]
    common = settings, choices.baselines, choices.runs
    futures = [pool.submit(run_trial, number, schedule_for(number, groups), *common) for number in left]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("recording trials", total=choices.trials, completed=choices.trials - len(left))
        start = time.monotonic()
        try:
            for count, done in enumerate(as_completed(futures), start=1):
                # In a log there is no bar.
                time_left = timedelta(seconds=round((time.monotonic() - start) / count * (len(left) - count)))
                console.print(f"{done.result()}  ({len(left) - count} trials, {time_left} left)", highlight=False)
                progress.update(task, advance=1, description=f"{time_left} left")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # what has ended is kept
            raise


def _sensitivity_map(
    pool: ProcessPoolExecutor, settings: TrialSettings, free: tuple[PrunableGroup, ...], baselines: Path
) -> SensitivityMap:
    """As `python -m search sensitivity` would measure it."""
    probe = Probe(method=METHODS[0], ratios=SensitivitySettings().ratios, quality="map", round_to=ROUND_TO)
    baseline, cpu = need_baseline(settings, baselines), torch.device("cpu")
    dense = pool.submit(measure_dense, settings, baseline, probe, cpu)
    found = [pool.submit(measure_group, settings, baseline, group.id, probe, cpu) for group in free]
    return SensitivityMap(
        network=settings.network.name,
        method=probe.method,
        quality=probe.quality,
        dense=dense.result().quality,
        dense_macs=dense.result().macs,
        ratios=probe.ratios,
        round_to=probe.round_to,
        groups=tuple(future.result() for future in found),
    )


def _begin() -> None:
    """Of each worker: one thread, and behind whatever else runs on the machine."""
    use_threads(1)
    os.setpriority(os.PRIO_PROCESS, 0, 15)


if __name__ == "__main__":
    main()

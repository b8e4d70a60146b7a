"""The dry run of a sweep: its space, its first proposals and their costs, the resources, and the time it will take."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from pruning.schedule import Schedule
from search.build import build_problem, build_searcher, lines_of_search, lines_without_a_map, measured_problem
from search.cli.space_table import space_summary, space_table
from search.config import ResourceSettings, SweepConfig
from search.context import SweepContext
from search.data_check import check_ground_truth
from search.driver.cluster import connected, node_resources, trial_slots_for
from search.driver.progress import COUNTED
from search.driver.results import result_of
from search.driver.tasks import time_epoch
from search.errors import input_is_checked
from search.storage import SweepStorage
from search.study.budget import Budget
from search.study.searcher import StudySearcher
from search.terminal import say
from search.warm_start import WarmStart, read_former, warm_start_from
from tracking.record import METRICS, TrialRecord
from tracking.sensitivity import read_sensitivity
from trainables.baseline import find_baseline
from trainables.data import open_data
from trainables.folder import read_records

FIRST_PROPOSALS = 10
_COUNTED = ("mac_ratio", "compression", "parameters")


def dry_run(
    config: SweepConfig,
    storage: Path,
    baselines: Path,
    address: str | None,
    console: Console,
    warm_start: Path | None = None,
) -> None:
    """Show what the same command would do without `--dry-run`; write nothing.

    The dense network and the sensitivity map that an earlier start of the sweep has left are used.

    Args:
        config: of the sweep.
        storage: its folder, which need not exist.
        baselines: where dense networks are kept.
        address: of a Ray cluster; None for the running job's, or a local one.
        console: where it is shown.
        warm_start: folder of a former sweep, whose front would be tried first.

    Raises:
        BadInputError: the sweep itself would be refused.
    """
    with input_is_checked():
        former = read_former(warm_start) if warm_start else None
        mapped = (storage / "sensitivity.json").is_file()
        sensitivity = read_sensitivity(storage) if mapped else None
        baseline = find_baseline(config.trial_settings, baselines)
        problem = measured_problem(config, build_problem(config), baseline, sensitivity)
        warnings = check_ground_truth(open_data(config.data))
        warm = warm_start_from(former, problem.space) if former is not None else WarmStart((), (), ())
        SweepStorage(storage).check(config, open_data(config.data).fingerprint)
        records = read_records(storage)
    space = problem.space
    for warning in warnings:
        say(console, f"warning: {warning}")
    console.print(space_table(space))
    for line in (*space_summary(space), *(() if mapped else lines_without_a_map(config, space))):
        say(console, line)
    for line in (*warm.mapped, *warm.dropped):
        say(console, line)

    # Whether the front stops growing cannot be seen in a rehearsal, and needs the dense network's metrics.
    unending = config.model_copy(update={"search": config.search.model_copy(update={"stop": None})})
    context = SweepContext(unending, storage, problem, FIRST_PROPOSALS, sensitivity, warm.points)
    searcher = build_searcher(context)
    for line in lines_of_search(config, problem, len(searcher.spec.initial_points())):
        say(console, line)
    console.print(proposals_table(first_proposals(lambda folder: build_searcher(replace(context, storage=folder)))))
    with input_is_checked(), connected(address):
        slots = trial_slots_for(config.resources)
        lines = [resources_line(config.resources, node_resources(), slots)]
        task = time_epoch.options(**config.resources.task_options).remote(config.trial_settings)
        seconds = result_of(task, "timing an epoch")
    lines += time_lines(
        config.search.budget,
        epochs=space.longest_trial,
        epoch_seconds=seconds,
        slots=slots,
        records=records,
        early_stops=config.scheduler.name != "none",
    )
    for line in lines:
        say(console, line)


def first_proposals(
    make_searcher: Callable[[Path], StudySearcher], count: int = FIRST_PROPOSALS
) -> list[dict[str, Any]]:
    """Return the configs of the trials that a new sweep would hand out first, before it knows any result.

    Args:
        make_searcher: makes the sweep's searcher over the folder that it is given, a temporary one.
        count: how many; fewer are returned where the space has fewer.
    """
    with TemporaryDirectory() as folder:
        searcher = make_searcher(Path(folder))
        proposals = (searcher.suggest(f"dry {number}") for number in range(count))
        return [config for config in proposals if isinstance(config, dict)]


def proposals_table(configs: Sequence[dict[str, Any]]) -> Table:
    """Return a table of proposals with method, ratios and counted costs."""
    table = Table(title=f"the first {len(configs)} proposals, and what is known of them before they train")
    for name in ("trial", "method", "channels removed", *(METRICS[key].label for key in _COUNTED)):
        table.add_column(name, justify="left" if name in ("method", "channels removed") else "right")
    for config in configs:
        schedule = Schedule.model_validate_json(config["schedule"])
        shown = [METRICS[key].show(config["costs"].get(key)) for key in _COUNTED]
        table.add_row(str(config["number"]), schedule.method, _ratios(schedule), *shown)
    return table


def resources_line(resources: ResourceSettings, nodes: Sequence[dict[str, float]], slots: int) -> str:
    """Return a line that says what a trial needs, what the nodes have, and how many trials run at once."""
    have = "; ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in nodes)
    needs = f"{resources.cpus} CPUs and {resources.gpus:g} GPUs"
    return f"a trial needs {needs}; the nodes have {have}: {slots} trials at once"


def time_lines(
    budget: Budget, *, epochs: int, epoch_seconds: float, slots: int, records: Sequence[TrialRecord], early_stops: bool
) -> Iterator[str]:
    """Yield lines that say how long an epoch, a trial, and the search will take at most.

    Args:
        budget: of the sweep.
        epochs: of the longest trial.
        epoch_seconds: of one epoch, timed on the dense network; used until there are records.
        slots: how many trials run at once.
        records: of trials that have ended; their mean epoch is used where there are any.
        early_stops: whether a scheduler ends trials before their last epoch.
    """
    seen = [point.seconds for record in records for point in record.curve]
    seconds, source = (sum(seen) / len(seen), "as in the trials so far") if seen else (epoch_seconds, "estimated")
    yield f"an epoch of a trial takes about {_duration(seconds)} ({source}), a trial {_duration(seconds * epochs)}"
    done = sum(record.status in COUNTED for record in records)
    bounds = []
    if budget.trials is not None:
        left = max(0, budget.trials - done)
        bounds.append((f"{left} trials", math.ceil(left / slots) * epochs * seconds))
    if budget.epochs is not None:
        left = max(0, budget.epochs - len(seen))
        bounds.append((f"{left} epochs", math.ceil(left / slots) * seconds))
    if budget.hours is not None:
        bounds.append((f"{budget.hours:g} hours", budget.hours * 3600))
    what, longest = min(bounds, key=lambda bound: bound[1])
    less = "; less, as the scheduler ends trials early" if early_stops else ""
    yield f"the search takes at most about {_duration(longest)} for {what}{less}; the front is measured again after it"


def _ratios(schedule: Schedule) -> str:
    ratios = list(schedule.ratios.values())
    if not any(ratios):
        return "none"
    return f"{min(ratios):.0%} to {max(ratios):.0%}, mean {sum(ratios) / len(ratios):.0%}"


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds))) if seconds >= 10 else f"{seconds:.1f} s"

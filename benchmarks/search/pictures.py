"""Pictures of what the space, the searcher and the scheduler do, for docs/results/search.md."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from benchmarks.search.contenders import BASELINE, BASELINE_RUNGS, DEFAULT, DEFAULT_RUNGS, SAMPLER_ROWS
from benchmarks.search.figures import Results
from benchmarks.search.yardstick import COUNTS, Shares
from search.simulation.virtual_time import Ended, Simulation
from spaces.scripted_sampler import ScriptedSampler
from spaces.space import HIGHEST_RATIO, Space, offset_name
from tracking.charts.style import INK, MUTED, RULE
from trainables.simulation.simulated import Blackbox

# Okabe and Ito's colours, told apart by colour-blind readers too.
BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9"
SHOWN = {
    DEFAULT: INK,
    "without first points": BLUE,
    "independent TPE + ladder": GREEN,
    "Optuna TPE": ORANGE,
    "Optuna NSGA-II": YELLOW,
    "Syne Tune MOASHA": PINK,
    BASELINE: MUTED,
}
_PROPOSALS = (("level 0.5", 0.0, 0.0, SKY), ("level 0.5, tilt 0.8", 0.8, 0.0, BLUE), ("… and offsets", 0.8, 0.15, INK))


def draw_space(space: Space, path: Path) -> None:
    """The ratios of three proposals, group by group, above what the sensitivity map says of each."""
    groups, places = space.free_groups, np.arange(len(space.free_groups))
    figure = Figure(figsize=(9, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for shift, (label, tilt, reach, colour) in zip((-0.27, 0.0, 0.27), _PROPOSALS, strict=True):
        signs = np.random.default_rng(0).uniform(-1, 1, len(groups))
        offsets = {offset_name(g, "group"): reach * sign for g, sign in zip(groups, signs, strict=True)}
        preferred = {"method": "l1", "level": 0.5, "tilt": tilt, **{name: offsets[name] for name in offsets if name}}
        ratios = space.propose(ScriptedSampler(preferred)).ratios
        above.bar(places + shift, [ratios[group.id] for group in groups], 0.25, color=colour, label=label)
    bounded = [place for place, group in zip(places, groups, strict=True) if space.most(group) < HIGHEST_RATIO]
    if bounded:
        bounds = [space.most(groups[place]) for place in bounded]
        above.plot(bounded, bounds, "_", color=ORANGE, markersize=30, mew=2, label="the map's bound")
    above.set(ylabel="share of channels removed", ylim=(0, 1))
    _legend(figure, above)
    below.bar(places, [space.sensitivity.get(group.id, 0.0) for group in groups], 0.7, color=MUTED)
    below.set(ylabel="rank", ylim=(-0.6, 0.6))
    below.set_xticks(places, [group.id for group in groups], rotation=30, ha="right")
    above.set_title("A proposal: one level, tilted by the sensitivity map, and a small offset a group", loc="left")
    below.set_title(
        "multiply-adds saved for the mAP lost, as a rank: above 0, the tilt takes more", loc="left", size=10
    )
    _save(figure, (above, below), path)


def draw_searcher(results: Results, path: Path) -> None:
    """Hypervolume over H64 against trials: medians, with a band between the quartiles."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    panels = _panels(figure, results)
    for axes, (problem, contenders) in zip(panels, results.runs.items(), strict=True):
        level = results.level(problem)
        for name, colour in SHOWN.items():
            if name not in contenders:
                continue
            trials = range(1, 65)
            rows = [
                [_at(run.hypervolumes, trial) / level[seed] for trial in trials]
                for seed, run in contenders[name].items()
            ]
            _band(axes, np.array(trials), np.array(rows), colour, name, bold=name == DEFAULT)
        axes.axhline(1, color=RULE, zorder=0)
        axes.set(title=problem, xlabel="trials", xlim=(1, 64), ylim=(0, None))
    panels[0].set_ylabel("hypervolume / H64")
    _legend(figure, panels[0])
    _save(figure, panels, path)


def draw_shares(shares: Shares, path: Path) -> None:
    """Share of the best known hypervolume against trials, sampler by sampler, below what no sampler can pass."""
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    grid = figure.subplots(2, math.ceil(len(shares.after) / 2), sharey=True, squeeze=False)
    for axes, problem in zip(grid.flat, shares.after, strict=False):
        for name, colour in zip(SAMPLER_ROWS, (INK, BLUE, SKY, GREEN, YELLOW, MUTED, ORANGE), strict=True):
            if name not in shares.after[problem]:
                continue
            runs = shares.after[problem][name].values()
            rows = np.array([[_at(run, trial) for trial in range(1, COUNTS[-1] + 1)] for run in runs])
            _band(axes, np.arange(1, COUNTS[-1] + 1), rows, colour, name, bold=name == DEFAULT)
        ceilings = [shares.ceiling(problem, trials).median for trials in COUNTS]
        axes.plot(COUNTS, ceilings, "_", color=PINK, markersize=14, mew=2, label="at most")
        axes.set(title=problem, xscale="log", xlim=(2, COUNTS[-1]), ylim=(0, 1))
        axes.set_xticks(COUNTS, [str(trials) for trials in COUNTS])
        axes.minorticks_off()
    for axes in grid.flat[len(shares.after) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("share of the best known")
    for axes in grid[-1]:
        axes.set_xlabel("trials")
    _legend(figure, grid[0, 0])
    _save(figure, list(grid.flat), path)


def draw_scheduler(results: Results, whole: Simulation, stopped: Simulation, path: Path) -> None:
    """Hypervolume against epochs with and without rungs, and, of one sweep of each, what became of every trial.

    Args:
        results: of all runs.
        whole: one sweep without rungs.
        stopped: the same with rungs, over as many epochs.
        path: of the picture.
    """
    figure = Figure(figsize=(9, 8), layout="constrained")
    upper, lower = cast(Sequence[SubFigure], figure.subfigures(2, 1))
    panels = _panels(upper, results)
    looks = {
        DEFAULT: (INK, "-"), DEFAULT_RUNGS: (BLUE, "-"), BASELINE: (MUTED, "--"), BASELINE_RUNGS: (ORANGE, "--"),
    }  # fmt: skip
    for axes, (problem, contenders) in zip(panels, results.runs.items(), strict=True):
        level, last = results.level(problem), results.runs[problem][BASELINE]
        epochs = np.linspace(0, max(run.epochs[-1] for run in last.values()), 200)
        for name, (colour, line) in looks.items():
            rows = [[run.after_epochs(int(e)) / level[seed] for e in epochs] for seed, run in contenders[name].items()]
            _band(axes, epochs, np.array(rows), colour, name, line=line)
        axes.axhline(1, color=RULE, zorder=0)
        axes.set(title=problem, xlabel="epochs of all trials", xlim=(0, epochs[-1]), ylim=(0, None))
    panels[0].set_ylabel("hypervolume / H64")
    _legend(upper, panels[0])
    trials = lower.subplots(1, 2, sharex=True, sharey=True)
    for axes, simulation, title in zip(trials, (whole, stopped), ("without rungs", "with rungs"), strict=True):
        _draw_trials(axes, simulation.ended, f"{title}: {len(simulation.ended)} trials, {simulation.epochs} epochs")
    trials[0].set_ylabel("mAP when it ended")
    trials[1].legend(frameon=False, loc="lower left")
    _save(figure, (*panels, *trials), path)


def _draw_trials(axes: Axes, ended: Sequence[Ended], title: str) -> None:
    by_epochs: dict[int, list[Ended]] = {}
    for each in ended:
        by_epochs.setdefault(len(each.record.curve), []).append(each)
    longest = max(by_epochs)
    colours = dict(zip(sorted(by_epochs, reverse=True), (INK, ORANGE, SKY, PINK, YELLOW), strict=False))
    for epochs, trials in sorted(by_epochs.items()):
        axes.plot(
            [each.record.metrics["speedup"] for each in trials],
            [each.record.metrics["map"] for each in trials],
            "o",
            color=colours[epochs],
            markersize=5 if epochs == longest else 3.5,
            alpha=0.8,
            mew=0,
            label=f"{len(trials)} finished" if epochs == longest else f"{len(trials)} stopped after {epochs}",
        )
    axes.set(title=title, xlabel="speedup", xscale="log", ylim=(0, None))
    axes.set_xticks([1, 2, 4, 8], ["×1", "×2", "×4", "×8"])
    axes.minorticks_off()


def _band(
    axes: Axes, places: np.ndarray, rows_SP: np.ndarray, colour: str, label: str, *, line: str = "-", bold: bool = False
) -> None:
    low_P, median_P, high_P = np.quantile(rows_SP, (0.25, 0.5, 0.75), axis=0, method="inverted_cdf")
    axes.fill_between(places, low_P, high_P, color=colour, alpha=0.15, linewidth=0)
    axes.plot(places, median_P, line, color=colour, linewidth=2.6 if bold else 1.6, label=label)


def _at(values: Sequence[float], trial: int) -> float:
    return values[min(trial, len(values)) - 1]


def _panels(figure: Figure | SubFigure, results: Results) -> Sequence[Axes]:
    """One panel a problem, side by side."""
    return list(np.atleast_1d(figure.subplots(1, len(results.runs), sharey=True)))


def _legend(figure: Figure | SubFigure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)


def _save(figure: Figure, panels: Sequence[Axes], path: Path) -> None:
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_color(INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def pictures(
    results: Results, shares: Shares, blackbox: Blackbox, sweeps: tuple[Simulation, Simulation], folder: Path
) -> None:
    """All of them, with the space of a black box, and a sweep over it without and with rungs."""
    draw_space(blackbox.space(), folder / "search_space.png")
    draw_shares(shares, folder / "search_share.png")
    draw_searcher(results, folder / "search_searcher.png")
    draw_scheduler(results, *sweeps, folder / "search_scheduler.png")

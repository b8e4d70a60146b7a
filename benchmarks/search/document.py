"""docs/results/search.md and search.json from the runs of `benchmarks.search`."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.search.contenders import BY_EPOCHS, BY_TRIALS, DEFAULT, GRACE, REDUCTION, SLOTS
from benchmarks.search.figures import PAIRS, Results
from benchmarks.search.overhead import (
    ASKED_AT,
    DRIVEN,
    GIVEN_SECONDS,
    GIVEN_TRIALS,
    MANY_SLOTS,
    MANY_TRIALS,
)
from benchmarks.search.runs import Spread
from benchmarks.search.share_tables import aims_of_shares, share_section, shown
from benchmarks.search.yardstick import Shares
from tracking.files import write_atomically
from tracking.provenance import provenance

BY_HAND = "<!-- by hand from here -->"
SHARES = (0.1, 0.25, 0.5, 1.0)  # of the epochs of the baseline's trials


def write_document(
    results: Results, shares: Shares, overhead: Mapping[str, float], commits: Sequence[str], docs: Path
) -> None:
    """Write the document anew, but for what was written by hand at its end, and the runs that it is made of.

    Args:
        results: all runs.
        shares: of the best known hypervolume.
        overhead: what the search itself costs.
        commits: that the runs are of.
        docs: the folder of the documentation.
    """
    document = docs / "results" / "search.md"
    text = document.read_text() if document.is_file() else BY_HAND
    lines = [
        *_head(results, commits),
        *_aims(results, shares, overhead),
        *share_section(shares),
        *_by_trials(results),
        *_by_epochs(results),
        *_overhead(overhead),
        BY_HAND + text.partition(BY_HAND)[2],
    ]
    write_atomically(document, "\n".join(lines).rstrip() + "\n")
    runs = {
        problem: {
            name: {seed: run.model_dump(exclude={"expected"}) for seed, run in seeds.items()}
            for name, seeds in contenders.items()
        }
        for problem, contenders in results.runs.items()
    }
    content = {
        "provenance": {**provenance(threads="1"), "runs_of_commits": ", ".join(commits)},
        "overhead": dict(overhead),
        "share_of_best": shares.after,
        "runs": runs,
    }
    write_atomically(document.with_suffix(".json"), json.dumps(content, separators=(",", ":")))


def _head(results: Results, commits: Sequence[str]) -> list[str]:
    origin = provenance(threads="1")
    seeds = len(next(iter(results.runs.values()))[DEFAULT])
    return [
        "# How well the search searches",
        "",
        f"Simulated sweeps in virtual time, {SLOTS} trials at once, {seeds} seeds: medians, with the quartiles in",
        "brackets; – where so many runs did not get there. The searcher, the rungs, the journal and the records are",
        "the real ones, only the trials are not. Problems: *smooth*, *knees*, *interactions* and *noisy* are families",
        "of formulas over a ResNet-18's twelve groups (`trainables/simulation/closed_form.py`), of which each seed",
        "draws another; *recorded* is the table of real trials of `benchmarks/record_table.py`, with a regression",
        "between them, where a seed is the searcher's alone. Two are meant to be hard for a model of the quality:",
        "*interactions* has cliffs where two groups are cut together, and a method that wins in a corner alone;",
        "*noisy* is *knees* with a noise as large as the differences between neighbours.",
        "",
        "Measured is, first, the share of the best known hypervolume, as explained below; then the hypervolume of",
        "(mAP, speedup), as measured, above no mAP and the dense network's speed. **H64** is what independent random",
        "search (one free ratio a group, nothing tried first) has after 64 trials: on a formula that of the same seed,",
        "on the table the median over seeds. A figure in the first table is the median over seeds of the problem where",
        "that is worst. Nothing is tuned on these results.",
        "",
        "Written by `python -m benchmarks.search` (`make bench-search`) from `search.json` beside this file; "
        f"commit `{origin['git_commit'][:12]}`, {origin['cpu']}, one thread, {origin['time_utc'][:10]}."
        + _other_commits(commits, origin["git_commit"]),
        "",
    ]


def _other_commits(commits: Sequence[str], own: str) -> str:
    others = [f"`{commit[:12]}`" for commit in commits if commit != own]
    return f" Runs of {', '.join(others)} are among them." if others else ""


def _aims(results: Results, shares: Shares, overhead: Mapping[str, float]) -> list[str]:
    """The figures that were aimed at, each on the problem where its median over seeds is worst."""
    figures = results.headline()
    rows = [
        *aims_of_shares(shares),
        ("trials to H64, the default", _number(figures["trials_to_random64"]), "≤ 12"),
        ("hypervolume after 64 trials over H64, the default", _number(figures["hypervolume_over_random64"]), "≥ 1.5"),
        ("epochs to H64 with rungs over those without", _percent(figures["epochs_share"]), "≤ 40 %"),
        (
            f"ask and tell at trial {ASKED_AT:,}",
            f"{overhead['ask_ms'] + overhead['tell_ms']:.0f} ms (ask {overhead['ask_ms']:.0f}, tell "
            f"{overhead['tell_ms']:.0f})",
            "≤ 100 ms",
        ),
        (
            f"driver's CPU time a trial at {DRIVEN:,} trials",
            f"{overhead['driver_ms']:.0f} ms (mean of all {DRIVEN:,}: {overhead['driver_ms_of_all']:.0f} ms)",
            "≤ 50 ms",
        ),
        (f"driver's memory from trial 100 to {DRIVEN:,}", f"{overhead['rss_growth_mib']:+.0f} MiB", "± 50 MB"),
        (
            f"{GIVEN_TRIALS} trials of {GIVEN_SECONDS:g} s on {SLOTS} slots, over the ideal schedule",
            f"× {overhead['over_ideal']:.3f}",
            "≤ × 1.05",
        ),
    ]
    return [
        "| what, on the problem where it is worst | measured | aim |",
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def _by_trials(results: Results) -> list[str]:
    meanings = [f"- **{name}**: {BY_TRIALS[name].meaning}." for name in _names(results, BY_TRIALS)]
    return [
        "## Space and searcher: equal trials",
        "",
        "![What level, tilt and offsets do](../pictures/search_space.png)",
        "",
        "![Hypervolume against trials](../pictures/search_searcher.png)",
        "",
        *_table_by_trials("trials to H64", results, results.trials_to, "{:.0f}"),
        *_table_by_trials("hypervolume / H64", results, results.over_random, "{:.2f}"),
        *meanings,
        "",
    ]


def _table_by_trials(what: str, results: Results, figure: Callable[[str, str], Spread], form: str) -> list[str]:
    lines = [f"| {what} | {' | '.join(results.runs)} |", "|---|" + "---|" * len(results.runs)]
    for name in _names(results, BY_TRIALS):
        cells = [shown(figure(problem, name), form) for problem in results.runs]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


def _by_epochs(results: Results) -> list[str]:
    lines = [
        "## Scheduler: equal epochs",
        "",
        f"Rungs from {GRACE} epoch on, one trial in {REDUCTION} goes on; both are given the epochs of 64 whole trials.",
        "The share is taken seed by seed. Where the search without rungs never gets there, all its epochs are counted",
        "(the true share is lower); where neither does, the seed says nothing.",
        "",
        "![Hypervolume against epochs, and which trials were stopped](../pictures/search_scheduler.png)",
        "",
        "| problem | search | until the front is that of | epochs without rungs | with rungs | share |",
        "|---|---|---|---|---|---|",
    ]
    for problem in results.runs:
        for plain, stopped, of, goal in PAIRS:
            cells = (
                shown(results.epochs_to(problem, plain, of, goal), "{:.0f}"),
                shown(results.epochs_to(problem, stopped, of, goal), "{:.0f}"),
                shown(results.epochs_share(problem, plain, stopped, of, goal), "{:.0%}"),
            )
            whose = f"{of}, 64 trials" if goal == 1 else f"{goal:.0%} of {of}, 64 trials"
            lines.append(f"| {problem} | {plain} | {whose} | {' | '.join(cells)} |")
    lines += [
        "",
        "Hypervolume over H64 after a share of those epochs:",
        "",
        f"| problem | search | {' | '.join(f'{share:.0%}' for share in SHARES)} |",
        "|---|---|" + "---|" * len(SHARES),
    ]
    names = [each for plain, stopped, *_ in PAIRS for each in (plain, stopped)]
    for problem in results.runs:
        for name in dict.fromkeys([*names, *_names(results, BY_EPOCHS)]):
            after = [shown(results.at_epochs(problem, name, share), "{:.2f}") for share in SHARES]
            lines.append(f"| {problem} | {name} | {' | '.join(after)} |")
    return [*lines, ""]


def _overhead(overhead: Mapping[str, float]) -> list[str]:
    right = "is" if overhead["many_front_is_right"] else "IS NOT"
    return [
        "## What it costs",
        "",
        f"- Ask and tell at trial {ASKED_AT:,}, twelve groups, journal on disk: {overhead['ask_ms']:.0f} ms and "
        f"{overhead['tell_ms']:.0f} ms (medians of the last calls).",
        f"- Trials of no duration through Ray Tune: {overhead['driver_ms']:.0f} ms of the driver's CPU a trial at "
        f"{DRIVEN:,} trials, {overhead['driver_ms_at_100']:.0f} ms at 100; its memory grows by "
        f"{overhead['rss_growth_mib']:.0f} MiB in between.",
        f"- {GIVEN_TRIALS} trials that sleep {GIVEN_SECONDS:g} s on {SLOTS} slots: × {overhead['over_ideal']:.3f} of "
        f"the ideal schedule from the first start to the last end, × {overhead['whole_over_ideal']:.3f} with the "
        "start and the end of Ray Tune.",
        f"- {overhead['many_finished']:,.0f} of {MANY_TRIALS:,} simulated trials on {MANY_SLOTS} slots in "
        f"{overhead['many_seconds']:.0f} s; the front {right} that of all records by brute force.",
        "",
    ]


def _names(results: Results, contenders: Mapping[str, object]) -> Sequence[str]:
    """Those that every problem was searched by."""
    return [name for name in contenders if all(name in of_problem for of_problem in results.runs.values())]


def _number(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.0%}"

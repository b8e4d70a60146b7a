"""The part of docs/results/search.md on shares of the best known hypervolume."""

import math

from benchmarks.search.contenders import SAMPLER_ROWS
from benchmarks.search.problems import HARD, RECORDED
from benchmarks.search.runs import Spread
from benchmarks.search.yardstick import COUNTS, Shares
from tracking.reference import KEPT_QUALITY

_AIMS = {"formulas": (0.88, 0.95, 0.98, 0.99), RECORDED: (0.80, 0.90, 0.95, 0.97)}


def shown(found: Spread, form: str) -> str:
    """A median with its quartiles, or alone where they are the same."""
    values = (found.low, found.median, found.high)
    low, middle, high = (form.format(value) if math.isfinite(value) else "–" for value in values)
    return middle if low == middle == high else f"{middle} ({low} to {high})"


def aims_of_shares(shares: Shares) -> list[tuple[str, str, str]]:
    """Rows of the first table: what, measured, aim."""
    of_formulas = [name for name in shares.after if name not in (*HARD, RECORDED)]
    counts = ", ".join(map(str, COUNTS))
    rows = []
    for what, problems in (("formulas", of_formulas), (RECORDED, [RECORDED])):
        if set(problems) <= set(shares.after) and problems:
            measured = shares.worst(problems=problems).values()
            aims = ", ".join(f"{aim:.2f}" for aim in _AIMS[what])
            name = f"share of the best known hypervolume after {counts} trials, the default, {what}"
            rows.append((name, ", ".join(f"{share:.2f}" for share in measured), f"≥ {aims}"))
    return rows


def share_section(shares: Shares) -> list[str]:
    """All of it: what is measured, a table a problem, and how far the default is ahead."""
    lines = [
        "## Share of the best known hypervolume",
        "",
        f"The region that a person ships from: mAP above {KEPT_QUALITY:g} of the dense network's, faster than it. Of",
        "every trial that finished counts the mAP that its schedule has in the mean: noise earns nothing. *Best known*",
        "is the front of a long evolutionary search without noise in the same space (`benchmarks/search/evolution.py`,",
        "kept in `benchmarks/data/search_best.json`), together with all that any contender found on that problem.",
        "*At most* is what as many points of that front have, chosen with full knowledge: no sampler passes it,",
        "because few points cannot trace a whole front. *Ahead* is the default less the best other sampler, seed by",
        "seed.",
        "",
        "![Share of the best known hypervolume against trials](../pictures/search_share.png)",
        "",
    ]
    for problem in shares.after:
        lines += _table(shares, problem)
    return lines


def _table(shares: Shares, problem: str) -> list[str]:
    rows = {
        name: [shares.spread(problem, name, trials) for trials in COUNTS]
        for name in SAMPLER_ROWS
        if name in shares.after[problem]
    }
    rows["*at most*"] = [shares.ceiling(problem, trials) for trials in COUNTS]
    lines = [f"| {problem}, after trials | {' | '.join(map(str, COUNTS))} |", "|---|" + "---|" * len(COUNTS)]
    lines += [f"| {name} | {' | '.join(shown(cell, '{:.2f}') for cell in cells)} |" for name, cells in rows.items()]
    ahead = [shown(shares.lead(problem, trials), "{:+.2f}") for trials in COUNTS]
    return [*lines, f"| *ahead* | {' | '.join(ahead)} |", ""]

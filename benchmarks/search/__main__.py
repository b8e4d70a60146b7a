"""How well the search searches, in virtual time: writes docs/results/search.md, search.json and its pictures.

    python -m benchmarks.search          # hours on one core, most of them Optuna's GP (`--without`); can be interrupted
    python -m benchmarks.search --quick  # 3 seeds, five minutes; writes nothing, its last line is one JSON object

Random search, ours, ours without one of its parts or with another sampler, and others' searchers, over five problems:
four families of closed forms, where each seed draws another problem, and a table of recorded trials, where a seed is
the searcher's alone. Nothing is tuned on these results.

A run is kept with the code that it follows from, and made again when that has changed.
"""

import argparse
import json
from pathlib import Path

from rich.console import Console

from benchmarks.search.best_known import read_best
from benchmarks.search.comparison import SEEDS, compare, one_sweep_of_each, quick
from benchmarks.search.contenders import BY_TRIALS
from benchmarks.search.document import write_document
from benchmarks.search.figures import Results
from benchmarks.search.kept_runs import KeptRuns
from benchmarks.search.overhead import overheads
from benchmarks.search.pictures import pictures
from benchmarks.search.problems import RECORDED, ROOT, TABLE, problems
from benchmarks.search.yardstick import Shares


def main() -> None:
    """Run what has no result yet, then write the document; or give the five figures that matter most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 seeds, five figures, no document")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"default: {SEEDS}")
    parser.add_argument("--runs", type=Path, default=Path("runs/search"), help="where results are kept")
    parser.add_argument("--any-source", action="store_true", help="kept runs of other code count too, and are named")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="what is written to: default docs")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="a contender to leave out")
    choices = parser.parse_args()
    console, found = Console(), problems()
    if RECORDED not in found:
        console.print(f"{TABLE} is missing: measured on closed forms alone (`python -m benchmarks.record_table`)")
    if choices.quick:
        print(json.dumps(quick(found, console)))
        return
    runs = KeptRuns(choices.runs, any_source=choices.any_source)
    by_trials = {name: each for name, each in BY_TRIALS.items() if name not in choices.without}
    results = Results.of(compare(found, choices.seeds, runs, console, by_trials=by_trials))
    shares = Shares.of(results, found, read_best())
    write_document(results, shares, overheads(choices.runs), sorted(runs.commits), choices.docs)
    shown = found[RECORDED if RECORDED in found else "knees"](0)
    pictures(results, shares, shown, one_sweep_of_each(shown), choices.docs / "pictures")
    console.print(f"{choices.docs / 'results' / 'search.md'} is written")


if __name__ == "__main__":
    main()

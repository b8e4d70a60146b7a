"""How well the search searches, in virtual time: writes docs/results/search.md, search.json and its pictures.

    python -m benchmarks.search          # two hours on one core; goes on where it was interrupted
    python -m benchmarks.search --quick  # 3 seeds, five minutes; writes nothing, its last line is one JSON object

Random search, ours, ours without one of its parts, and others' searchers, over three problems: two families of closed
forms, where each seed draws another problem, and a table of recorded trials, where a seed is the searcher's alone.
Nothing is tuned on these results.
"""

import argparse
import json
from pathlib import Path

from rich.console import Console

from benchmarks.search.comparison import SEEDS, compare, one_sweep_of_each, quick
from benchmarks.search.document import write_document
from benchmarks.search.figures import Results
from benchmarks.search.overhead import overheads
from benchmarks.search.pictures import pictures
from benchmarks.search.problems import RECORDED, ROOT, TABLE, problems


def main() -> None:
    """Run what has no result yet, then write the document; or give the four figures that matter most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 seeds, four figures, no document")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"default: {SEEDS}")
    parser.add_argument("--runs", type=Path, default=Path("runs/search"), help="where results are kept")
    choices = parser.parse_args()
    console, found = Console(), problems()
    if RECORDED not in found:
        console.print(f"{TABLE} is missing: measured on closed forms alone (`python -m benchmarks.record_table`)")
    if choices.quick:
        print(json.dumps(quick(found, console)))
        return
    results = Results.of(compare(found, choices.seeds, choices.runs, console))
    write_document(results, overheads(choices.runs), ROOT / "docs")
    shown = found[RECORDED if RECORDED in found else "knees"](0)
    pictures(results, shown, one_sweep_of_each(shown), ROOT / "docs" / "pictures")
    console.print("docs/results/search.md is written")


if __name__ == "__main__":
    main()

"""The methods beside each other on the miniature benchmark, several seeds: writes docs/results/methods.md.

    python -m benchmarks.methods            # about an hour on 2 cores; goes on where it was interrupted
    python -m benchmarks.methods --seeds 9  # another seed, to try things on: writes no document

A seed is that of the drawn places, of the dense network and of the fine-tuning. Each trial is scored on the test
queries once, by what its schedule gives: nothing is selected, and no setting was tuned on these seeds.
"""

import argparse
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID

from benchmarks.methods.document import write_document
from benchmarks.methods.trials import ROOT, prepare, result_path, run_case
from trainables.threads import available_threads, use_threads

SEEDS = (0, 1, 2)


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

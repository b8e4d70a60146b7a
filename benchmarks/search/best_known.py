"""The best front that is known of each problem, which a search is measured by: benchmarks/data/search_best.json.

    python -m benchmarks.search.best_known          # half an hour on one core; goes on where it was interrupted
    python -m benchmarks.search.best_known --anew   # where the search space or a formula has changed

The front is what a long evolutionary search finds without noise in the space that a sweep has
(`benchmarks.search.evolution`). What any sweep of the benchmark finds beyond it is added where shares are taken.
"""

import argparse
import json
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict
from rich.console import Console

from benchmarks.search.evolution import Point, evolve, expected_point
from benchmarks.search.problems import RECORDED, ROOT, Problem, dense_metrics, problems
from spaces.scripted_sampler import ScriptedSampler
from tracking.files import write_atomically
from tracking.pareto import hypervolume
from tracking.provenance import provenance
from tracking.reference import reference_point
from trainables.simulation.simulated import Blackbox

PATH = ROOT / "benchmarks" / "data" / "search_best.json"
COMMAND = "python -m benchmarks.search.best_known"
OBJECTIVES = ("map", "speedup")
EVALUATIONS, SEEDS = 20_000, 10
_DIGITS = (4, 3)  # of mAP and speedup in the file


class BestFront(BaseModel):
    """The best known front of one problem.

    reference: mAP and speedup that the hypervolume is measured from. points: mAP without noise, speedup.
    probe: the same of one schedule: what is measured later must be the same problem. evaluations: of the search.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference: Point
    points: tuple[Point, ...]
    probe: Point
    evaluations: int

    def hypervolume_with(self, found: np.ndarray) -> float:
        """The hypervolume of this front and other points N×2 together."""
        return hypervolume(np.vstack([self._points_N2, found.reshape(-1, 2)]), np.array(self.reference))

    @cached_property
    def _points_N2(self) -> np.ndarray:  # noqa: N802
        return np.array(self.points).reshape(-1, 2)

    def most(self, trials: int) -> float:
        """The hypervolume of so many of the points, chosen with full knowledge: what no sampler can pass.

        Exact, by dynamic programming along the front: with one more point, of the highest mAP, a rectangle is added
        as wide as its own gain of speed and as high as its mAP lies above that of the point before.
        """
        gains_N2 = self._points_N2 - self.reference
        gains_N2 = gains_N2[np.argsort(gains_N2[:, 0])]  # ascending mAP, so descending speedup
        heights_N, widths_N = gains_N2.T
        best_N = heights_N * widths_N  # with one point, the one of the highest mAP
        higher_NN = heights_N[None, :] - heights_N[:, None]
        added_NN = np.where(higher_NN >= 0, higher_NN * widths_N[None, :], -np.inf)
        for _ in range(1, min(trials, len(best_N))):
            best_N = np.maximum(best_N, (best_N[:, None] + added_NN).max(axis=0))
        return float(best_N.max())


class BestKnown(BaseModel):
    """All best fronts: problem → seed → front; and who wrote them. The table of recorded trials has seed 0 alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provenance: dict[str, str]
    fronts: dict[str, dict[int, BestFront]]

    def front(self, problem: str, seed: int, blackbox: Blackbox) -> BestFront:
        """The front of one problem.

        Raises:
            ValueError: there is none, or the problem has changed since.
        """
        found = self.fronts.get(problem, {}).get(0 if problem == RECORDED else seed)
        if found is None:
            raise ValueError(f"{PATH.name} has no front of {problem!r} with seed {seed}: run `{COMMAND}`")
        if not np.allclose(found.probe, _probe(blackbox), atol=1e-6):
            raise ValueError(f"{problem!r} has changed since {PATH.name} was written: run `{COMMAND} --anew`")
        return found


def read_best(path: Path = PATH) -> BestKnown:
    """Read the file, or nothing where it is missing."""
    if not path.is_file():
        return BestKnown(provenance=provenance(threads="1"), fronts={})
    return BestKnown.model_validate_json(path.read_bytes())


def reference(blackbox: Blackbox) -> Point:
    """Where the hypervolume of every search on a problem is measured from: mAP, speedup."""
    quality, cost = reference_point(OBJECTIVES, dense_metrics(blackbox))
    return quality, cost


def search_best(blackbox: Blackbox, evaluations: int) -> BestFront:
    """Search one problem for long."""
    above = reference(blackbox)
    found = evolve(blackbox, blackbox.space(), above, evaluations=evaluations, seed=0).points_N2
    points = sorted({(round(quality, _DIGITS[0]), round(speedup, _DIGITS[1])) for quality, speedup in found.tolist()})
    return BestFront(reference=above, points=tuple(points), probe=_probe(blackbox), evaluations=evaluations)


def write_best(
    found: dict[str, Problem], seeds: int, evaluations: int, path: Path, console: Console, *, anew: bool = False
) -> None:
    """Add the fronts that are missing, or fewer evaluations old, one by one.

    Args:
        found: the problems.
        seeds: how many of each family.
        evaluations: of each search.
        path: of the file.
        console: is told of each.
        anew: whether those that are there are searched again.
    """
    fronts = {} if anew else {name: dict(of_problem) for name, of_problem in read_best(path).fronts.items()}
    for seed in range(seeds):
        for problem, make in found.items():
            there = fronts.setdefault(problem, {}).get(seed)
            if (problem == RECORDED and seed) or (there is not None and there.evaluations >= evaluations):
                continue
            front = fronts[problem][seed] = search_best(make(seed), evaluations)
            console.print(f"{problem} {seed}: {front.hypervolume_with(np.empty(0)):.4f}, {len(front.points)} points")
            content = BestKnown(provenance=provenance(threads="1"), fronts=fronts)
            write_atomically(path, json.dumps(content.model_dump(mode="json"), separators=(",", ":")) + "\n")


def _probe(blackbox: Blackbox) -> Point:
    """A point in the middle of the space: other formulas, methods or bounds give another one."""
    space = blackbox.space()
    return expected_point(blackbox, space.propose(ScriptedSampler({})))


def main() -> None:
    """Search what is missing, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"default: {SEEDS}")
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS, help=f"default: {EVALUATIONS:,}")
    parser.add_argument("--out", type=Path, default=PATH)
    parser.add_argument("--anew", action="store_true", help="search again what is there")
    choices = parser.parse_args()
    write_best(problems(), choices.seeds, choices.evaluations, choices.out, Console(), anew=choices.anew)


if __name__ == "__main__":
    main()

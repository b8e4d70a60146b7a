"""Asynchronous successive halving on several objectives, with decisions that survive the driver.

Rungs lie at `grace` epochs, at `reduction` times as many, and so on, below the last epoch. A trial that reaches a rung
is compared with all trials that reached it before, and goes on if it is among the best 1/`reduction` of them:

1. by nondominated rank: first the trials that no other dominates in (quality after so many epochs, exact costs), then
   those that only these dominate, and so on. A slower trial never dominates a faster one, so no trial is judged by
   its quality alone;
2. within a rank by spread over the costs (`search.halving.nondominated_ranks.spread_order`): the ends of the front
   first, then whatever is farthest from those already chosen. Where a front has to be thinned, two trials of nearly
   the same cost do not both go on.

Whatever the reduction, two thirds of the first front go on, and its ends always do: the most accurate trial so far is
not stopped for being slow, nor the fastest for being less accurate.

Li et al., "A system for massively parallel hyperparameter tuning" (ASHA), MLSys 2020; Schmucker et al.,
"Multi-objective asynchronous successive halving" (MO-ASHA), 2021.

Differs from the papers: the decision on a trial is final and made at once, from the trials that came before it (the
stopping variant), so no trial is paused. Distances are taken between the logarithms of the exact costs. Two thirds of
the first front go on: in a space whose proposals nearly all lie on it, a third would be chosen by noise (default space,
12 closed forms, hypervolume after equally many epochs relative to a search without rungs: 0.98 with a strict third,
1.01 with two thirds). All brackets share the rung of an epoch.
"""

import itertools
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from search.halving.nondominated_ranks import NondominatedRanks, spread_order
from tracking.files import write_atomically
from tracking.format_version import VERSION_KEY, UnknownFormatError, check_version
from tracking.record import BORDER
from tracking.validation import first_error

_SHARE_OF_FIRST_FRONT = 2 / 3
_VERSION = 1  # in every line
_GOLDEN = (math.sqrt(5) - 1) / 2


class Decision(BaseModel):
    """One line of `rungs.jsonl`: what a trial reported at a rung, and whether it goes on.

    Attributes:
        number: of the trial.
        rung: epochs after which it was judged.
        values: its objectives then, the quality first.
        go_on: whether it trains further.
    """

    model_config = BORDER

    number: int
    rung: int
    values: tuple[float, ...]
    go_on: bool


class SuccessiveHalving:
    """The decisions of a sweep's successive halving, each on disk before it is acted on.

    Asked again, this driver or the next gives the same answer. Brackets differ in the rung at which their trials are
    first judged: those of bracket s at `grace · reduction^s` epochs. They guard against networks whose first epochs
    tell little. At a rung the trials of all brackets are compared: after equally many epochs that is fair, whichever of
    them was judged before, and there is more to compare with.

    Args:
        path: of the file of decisions, JSON lines; created if there is none.
        epochs: of the longest trial; there is no rung at its last epoch.
        grace: epochs before which no trial is judged.
        reduction: one of so many trials goes on.
        signs: one for each objective, quality first: 1 where higher is better, −1 where lower is.
        brackets: how many; trials are dealt out to them as in Hyperband (Li et al., JMLR 2018).

    Raises:
        ValueError: a number out of its range, or more brackets than rungs.
    """

    def __init__(
        self, path: Path, *, epochs: int, grace: int, reduction: int, signs: Sequence[int], brackets: int = 1
    ) -> None:
        if grace < 1 or reduction < 2:
            raise ValueError(f"grace {grace}, reduction {reduction}: at least 1 and 2 are right")
        rungs = (grace * reduction**step for step in itertools.count())
        self.rungs = tuple(itertools.takewhile(lambda rung: rung < epochs, rungs))
        """Epochs after which trials are judged, ascending."""
        if not 1 <= brackets <= max(1, len(self.rungs)):
            raise ValueError(
                f"brackets {brackets}: with {epochs} epochs, grace {grace} and reduction {reduction} "
                f"there are rungs at {list(self.rungs)}; 1 to {max(1, len(self.rungs))} is right"
            )
        if len(signs) < 2 or not set(signs) <= {1, -1}:
            raise ValueError(f"signs {list(signs)}: 1 or -1 for a quality and for at least one cost is right")
        self._path, self._reduction, self._brackets = path, reduction, brackets
        self._signs_M = np.array(signs, dtype=np.float64)
        self._opened: _Known | None = None

    def decide(self, number: int, epoch: int, values: Sequence[float]) -> bool:
        """Return whether a trial goes on.

        A trial that passed a rung while its driver was dead is judged at its next report.

        Args:
            number: of the trial.
            epoch: how many epochs it has trained.
            values: its objectives, quality first, in their own units. A quality that is not finite stops the trial.

        Raises:
            ValueError: the number of values is not that of the signs, or a cost is not above 0.
            OSError: the decision could not be saved, so none was made.
        """
        point_M = self._point(values)
        if self.stopped(number):
            return False
        rung = max((each for each in self.rungs[self.bracket(number) :] if each <= epoch), default=None)
        if rung is None or (number, rung) in self._known.judged:
            return True
        ranks = self._known.enter(rung, point_M)
        go_on = math.isfinite(values[0]) and newest_is_among_the_best(ranks, self._reduction)
        decision = Decision(number=number, rung=rung, values=tuple(values), go_on=go_on)
        try:
            _append(self._path, decision)
        except OSError:
            self._opened = None  # read again what is on disk
            raise
        self._known.note(decision)
        return go_on

    def stopped(self, number: int) -> bool:
        """Return whether the trial was told to stop, by this driver or an earlier one."""
        return number in self._known.stopped

    def bracket(self, number: int) -> int:
        """Return the bracket of a trial, always the same: multiples of the golden ratio fill any shares evenly."""
        halvings = [len(self.rungs) - bracket for bracket in range(self._brackets)]
        shares = [self._reduction**count / (count + 1) for count in halvings]
        position = (number * _GOLDEN) % 1.0 * sum(shares)
        # min: by rounding, the last position may lie just outside.
        return min(sum(bound <= position for bound in itertools.accumulate(shares)), self._brackets - 1)

    def __getstate__(self) -> dict[str, object]:
        # Tune pickles its scheduler; the copy reads the file again.
        return {**self.__dict__, "_opened": None}

    @property
    def _known(self) -> "_Known":
        if self._opened is None:
            self._opened = _Known(len(self._signs_M))
            for decision in read_decisions(self._path):
                self._opened.enter(decision.rung, self._point(decision.values))
                self._opened.note(decision)
        return self._opened

    def _point(self, values: Sequence[float]) -> np.ndarray:
        """Return the quality and the logarithms of the costs, with signs such that more is better."""
        if len(values) != len(self._signs_M):
            raise ValueError(f"values {list(values)}: {len(self._signs_M)} are right, a quality and its costs")
        quality, *costs = values
        if not all(math.isfinite(cost) and cost > 0 for cost in costs):
            raise ValueError(f"costs {costs}: finite numbers above 0 are right")
        return self._signs_M * [quality, *(math.log(cost) for cost in costs)]


@dataclass
class _Known:
    """The decisions on disk, and the rank of each report among those of its rung.

    Attributes:
        objectives: how many there are.
        judged: trial number and rung of each decision.
        stopped: numbers of the trials that were told to stop.
        rungs: rung → the ranks of all that was reported there.
    """

    objectives: int
    judged: set[tuple[int, int]] = field(default_factory=set)
    stopped: set[int] = field(default_factory=set)
    rungs: dict[int, NondominatedRanks] = field(default_factory=dict)

    def note(self, decision: Decision) -> None:
        """Take over a decision."""
        self.judged.add((decision.number, decision.rung))
        if not decision.go_on:
            self.stopped.add(decision.number)

    def enter(self, rung: int, point_M: np.ndarray) -> NondominatedRanks:
        """Add a report to its rung and return the ranks there; a diverged trial's report is not compared with any."""
        ranks = self.rungs.setdefault(rung, NondominatedRanks(self.objectives))
        if np.isfinite(point_M[0]):
            ranks.add(point_M)
        return ranks


def newest_is_among_the_best(points: NondominatedRanks, reduction: int) -> bool:
    """Return whether the point added last is among the best 1/`reduction`, or the two thirds of the first front.

    The first point ever added is, as in ASHA: there is nothing that speaks against it.

    Args:
        points: all reports at a rung, the newest last.
        reduction: one of so many goes on.
    """
    newest = len(points) - 1
    rank = points.ranks[newest]
    peers_N = np.flatnonzero(points.ranks == rank)
    # How many of the newest one's front go on: what the fronts before it leave of the share.
    promoted = max(1, len(points) // reduction) - int((points.ranks < rank).sum())
    if rank == 0:
        ends = points.points.shape[1]
        promoted = max(promoted, ends, math.ceil(_SHARE_OF_FIRST_FRONT * len(peers_N)))
    return promoted > 0 and newest in peers_N[spread_order(points.points[peers_N], promoted)]


def _append(path: Path, decision: Decision) -> None:
    with path.open("ab") as file:
        line = {**json.loads(decision.model_dump_json()), VERSION_KEY: _VERSION}
        file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_decisions(path: Path) -> list[Decision]:
    """Return all decisions, in order; cut off a last line that a killed driver did not finish: nobody acted on it.

    Raises:
        UnknownFormatError: a line has a format version that is not known.
        ValueError: a line is damaged.
    """
    if not path.is_file():
        write_atomically(path, "")
    whole, _, torn = path.read_bytes().rpartition(b"\n")
    decisions = [_decision(line, f"{path}, line {number}") for number, line in enumerate(whole.splitlines(), start=1)]
    if torn:
        os.truncate(path, path.stat().st_size - len(torn))
    return decisions


def _decision(line: bytes, where: str) -> Decision:
    try:
        fields = from_json(line)
        version = fields.pop(VERSION_KEY, 1) if isinstance(fields, dict) else 1
        check_version(version, where, "a decision", _VERSION)
        return Decision.model_validate_json(json.dumps(fields))
    except UnknownFormatError:
        raise
    except ValidationError as error:
        raise ValueError(f"{where} is no decision of a rung: {first_error(error, Decision)}") from error
    except ValueError as error:
        raise ValueError(f"{where} is no decision of a rung: {error}") from error

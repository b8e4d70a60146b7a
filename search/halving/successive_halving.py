"""Which trials are worth more epochs: successive halving on several objectives, on rungs that survive the driver.

After `grace` epochs, and after `reduction` times as many, and so on below the last one, a trial stands on a rung. There
it is compared with all trials that stood on it before, and goes on if it is among the best 1/`reduction` of them:

1. by fronts: trials that nobody dominates in (quality after so many epochs, exact costs), then those that only they
   dominate, and so on. A slower trial never dominates a faster one, so nobody is judged by quality alone;
2. inside a front by spread over the costs (`search.halving.nondominated_ranks.spread_order`): its ends first, then
   whoever is farthest
   from those chosen. Where a front must be thinned, two trials of nearly the same cost do not both go on.

The best front is never thinned to less than two thirds, whatever the share, and its ends always go on: the most
accurate so far is not stopped for being slow, nor the fastest for being less accurate.

Li et al., "A system for massively parallel hyperparameter tuning" (ASHA), MLSys 2020; Schmucker et al.,
"Multi-objective asynchronous successive halving" (MO-ASHA), 2021.

Differs from the papers: a trial is answered at once and for good, by those that came before (the stopping variant), so
nothing is paused. Distances are taken between exact costs, on logarithms. Two thirds of the best front go on: in a
space whose proposals nearly all lie on it, noise would draw the third (default space, 12 closed forms, hypervolume in
equally many epochs over that without rungs: 0.98 with a strict third, 1.01 so). A rung belongs to an epoch, not to a
bracket.
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

_OF_THE_BEST_FRONT = 2 / 3
_VERSION = 1  # in every line
_GOLDEN = (math.sqrt(5) - 1) / 2


class Decision(BaseModel):
    """One line of the file: what was reported on a rung (epochs), and whether the trial goes on."""

    model_config = BORDER

    number: int
    rung: int
    values: tuple[float, ...]
    go_on: bool


class SuccessiveHalving:
    """The rungs of a sweep, each decision on disk before it is answered.

    The same question is answered the same again, by this driver or the next. Brackets differ in the rung at which
    their trials are first judged: those of bracket s, at `grace · reduction^s` epochs. They guard against networks
    whose first epochs tell little. On a rung all brackets are compared: after equally many epochs a comparison is fair
    whoever was judged before, and twice as much is known.

    Args:
        path: of the file, JSON lines; made when there is none.
        epochs: of the longest trial: no rung stands at the last epoch.
        grace: epochs before which nobody is judged.
        reduction: of so many trials one goes on.
        signs: one an objective, quality first: 1 where higher is better, −1 where lower is.
        brackets: how many; trials are dealt out to them as in Hyperband (Li et al., JMLR 2018).

    Raises:
        ValueError: a number out of its range, or more brackets than rungs.
    """

    def __init__(
        self, path: Path, *, epochs: int, grace: int, reduction: int, signs: Sequence[int], brackets: int = 1
    ) -> None:
        if grace < 1 or reduction < 2:
            raise ValueError(f"grace {grace}, reduction {reduction}: at least 1 and 2 are right")
        heights = (grace * reduction**step for step in itertools.count())
        self.heights = tuple(itertools.takewhile(lambda height: height < epochs, heights))
        if not 1 <= brackets <= max(1, len(self.heights)):
            raise ValueError(
                f"brackets {brackets}: with {epochs} epochs, grace {grace} and reduction {reduction} "
                f"there are rungs at {list(self.heights)}; 1 to {max(1, len(self.heights))} is right"
            )
        if len(signs) < 2 or not set(signs) <= {1, -1}:
            raise ValueError(f"signs {list(signs)}: 1 or -1 for a quality and for at least one cost is right")
        self._path, self._reduction, self._brackets = path, reduction, brackets
        self._signs_M = np.array(signs, dtype=np.float64)
        self._opened: _Known | None = None

    def decide(self, number: int, epoch: int, values: Sequence[float]) -> bool:
        """Whether trial `number` goes on after `epoch`.

        A trial that passed a rung while nobody listened, because its driver was dead, is judged at its next report.

        Args:
            number: of the trial.
            epoch: how many it has trained.
            values: its objectives, quality first, in their own units. A quality that is no finite number ends it.

        Raises:
            ValueError: as many values as signs are right, and costs above 0.
            OSError: the decision could not be saved, so there is none.
        """
        point_M = self._point(values)
        if self.stopped(number):
            return False
        rung = max((height for height in self.heights[self.bracket(number) :] if height <= epoch), default=None)
        if rung is None or (number, rung) in self._known.judged:
            return True
        fronts = self._known.stand(rung, point_M)
        go_on = math.isfinite(values[0]) and newest_is_among_the_best(fronts, self._reduction)
        decision = Decision(number=number, rung=rung, values=tuple(values), go_on=go_on)
        try:
            _append(self._path, decision)
        except OSError:
            self._opened = None  # what is on disk is what is known
            raise
        self._known.note(decision)
        return go_on

    def stopped(self, number: int) -> bool:
        """Whether the trial was told to stop, by whatever driver."""
        return number in self._known.stopped

    def bracket(self, number: int) -> int:
        """The bracket of a trial, the same at any time: multiples of the golden ratio fill any shares evenly."""
        halvings = [len(self.heights) - bracket for bracket in range(self._brackets)]
        shares = [self._reduction**count / (count + 1) for count in halvings]
        place = (number * _GOLDEN) % 1.0 * sum(shares)
        # min: rounding may leave the last place a hair outside.
        return min(sum(bound <= place for bound in itertools.accumulate(shares)), self._brackets - 1)

    def __getstate__(self) -> dict[str, object]:
        # Tune pickles its scheduler; whoever unpickles it reads the file.
        return {**self.__dict__, "_opened": None}

    @property
    def _known(self) -> "_Known":
        if self._opened is None:
            self._opened = _Known(len(self._signs_M))
            for decision in read_decisions(self._path):
                self._opened.stand(decision.rung, self._point(decision.values))
                self._opened.note(decision)
        return self._opened

    def _point(self, values: Sequence[float]) -> np.ndarray:
        """Quality and the logarithms of the costs, all so that more is better."""
        if len(values) != len(self._signs_M):
            raise ValueError(f"values {list(values)}: {len(self._signs_M)} are right, a quality and its costs")
        quality, *costs = values
        if not all(math.isfinite(cost) and cost > 0 for cost in costs):
            raise ValueError(f"costs {costs}: finite numbers above 0 are right")
        return self._signs_M * [quality, *(math.log(cost) for cost in costs)]


@dataclass
class _Known:
    """What is on disk, and where each report stands among those of its rung."""

    objectives: int
    judged: set[tuple[int, int]] = field(default_factory=set)
    stopped: set[int] = field(default_factory=set)
    rungs: dict[int, NondominatedRanks] = field(default_factory=dict)

    def note(self, decision: Decision) -> None:
        """Take up an answer."""
        self.judged.add((decision.number, decision.rung))
        if not decision.go_on:
            self.stopped.add(decision.number)

    def stand(self, rung: int, point_M: np.ndarray) -> NondominatedRanks:
        """Put a report on its rung; a diverged one is compared with nobody."""
        fronts = self.rungs.setdefault(rung, NondominatedRanks(self.objectives))
        if np.isfinite(point_M[0]):
            fronts.add(point_M)
        return fronts


def newest_is_among_the_best(fronts: NondominatedRanks, reduction: int) -> bool:
    """Whether the last point added belongs to the best 1/`reduction`, or to the 2/3 of the best front.

    The first to arrive goes on, as in ASHA: nothing says that it should not.
    """
    newest = len(fronts) - 1
    front = fronts.ranks[newest]
    peers_N = np.flatnonzero(fronts.ranks == front)
    places = max(1, len(fronts) // reduction) - int((fronts.ranks < front).sum())
    if front == 0:
        ends = fronts.points.shape[1]
        places = max(places, ends, math.ceil(_OF_THE_BEST_FRONT * len(peers_N)))
    return places > 0 and newest in peers_N[spread_order(fronts.points[peers_N], places)]


def _append(path: Path, decision: Decision) -> None:
    with path.open("ab") as file:
        line = {**decision.model_dump(mode="json"), VERSION_KEY: _VERSION}
        file.write(json.dumps(line).encode() + b"\n")
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
        return Decision.model_validate(fields)
    except UnknownFormatError:
        raise
    except ValidationError as error:
        raise ValueError(f"{where} is no decision of a rung: {first_error(error, Decision)}") from error
    except ValueError as error:
        raise ValueError(f"{where} is no decision of a rung: {error}") from error

"""What search is measured on: four families of closed forms, two of them hard, and the table of recorded trials."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from pruning.schedule import Schedule
from tracking.sensitivity import SensitivityMap
from trainables.simulation.closed_form import FAMILIES, ClosedForm, closed_form
from trainables.simulation.recorded import RecordedTable
from trainables.simulation.simulated import Blackbox

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "benchmarks" / "data" / "mini_resnet.parquet"
RECORDED = "recorded"
HARD = ("interactions", "noisy")
"""Meant to be hard for a model of the quality: judged against other searches, not by a fixed share."""

Problem = Callable[[int], Blackbox]
"""From a seed to what is to be searched: a closed form draws another problem for each, the table is always the same."""


def problems(table: Path = TABLE) -> dict[str, Problem]:
    """All that are there, by name; the table is left out where its file is missing."""
    found: dict[str, Problem] = {family: partial(closed_form, family) for family in FAMILIES}
    if table.is_file():
        found[RECORDED] = partial(_recorded, table)
    return found


def sensitivity_of(blackbox: Blackbox) -> SensitivityMap:
    """The map that a sweep over it would have measured."""
    if isinstance(blackbox, ClosedForm):
        return blackbox.measured_sensitivity()
    assert isinstance(blackbox, RecordedTable)
    return blackbox.card.sensitivity


def dense_metrics(blackbox: Blackbox) -> dict[str, float]:
    """The dense network's metrics, as a sweep over it would have measured them."""
    nothing = Schedule(method="l1", ratios={}, epochs=blackbox.epochs, learning_rate=1.0)
    return {"map": sensitivity_of(blackbox).dense, **blackbox.costs(nothing), "speedup": 1.0}


def _recorded(table: Path, seed: int) -> RecordedTable:
    return _read(table)


@cache
def _read(table: Path) -> RecordedTable:
    return RecordedTable(table)

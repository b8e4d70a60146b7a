"""Choosing what is measured after a search, with the measuring itself played by this test."""

import json
from pathlib import Path

import pytest

from pruning.ledger import LedgerRow
from pruning.schedule import Schedule
from search.config import load_config
from search.results.final_evaluation import FinalEvaluation
from tracking.record import TrialRecord


class Bench(FinalEvaluation):
    """FinalEvaluation whose measurements come from a table: trial → (quiet speedup, test mAP)."""

    table: dict[int, tuple[float, float]]
    measured: list[int]

    def _measure(self, record, records, notice):
        speed = self._speeds(records).get(tuple(row.achieved_width for row in record.ledger))
        quiet, test_map = self.table[record.number]
        self.measured.append(record.number)
        path = self._path(record.number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"speed": speed or {"speedup": quiet}, "test": {"test_map": test_map}}))


def record(number: int, score: float, speedup: float, width: int) -> TrialRecord:
    return TrialRecord(
        number=number,
        status="finished",
        schedule=Schedule(method="l1", ratios={"a": 0.5}, epochs=1, learning_rate=0.1),
        metrics={"map": score, "speedup": speedup},
        ledger=(LedgerRow(group="a", width=64, asked_ratio=0.5, aligned_width=width, achieved_width=width),),
    )


@pytest.fixture
def bench(tiny_sweep: Path, tmp_path: Path):
    def make(table: dict[int, tuple[float, float]]) -> Bench:
        bench = Bench(load_config(tiny_sweep), tmp_path / "sweep", tmp_path, meter=None)
        object.__setattr__(bench, "table", table)
        object.__setattr__(bench, "measured", [])
        return bench

    return make


def front_numbers(front) -> list[int]:
    return [point.number for point in front.members()]


def test_every_member_is_measured_and_others_are_not(bench):
    records = [record(0, 0.7, 1.0, 64), record(1, 0.6, 2.0, 32), record(2, 0.5, 1.5, 48)]
    finals = bench({0: (1.0, 0.71), 1: (2.1, 0.61)})
    front = finals.front(records, {"map": 0.7}, notice=lambda line: None)
    assert sorted(finals.measured) == [0, 1]
    assert {point.number: point.metrics.get("test_map") for point in front.points} == {0: 0.71, 1: 0.61, 2: None}
    assert front.members()[1].metrics["speedup"] == 2.1


def test_a_trial_that_takes_the_place_of_another_is_measured_too(bench):
    records = [record(0, 0.7, 1.0, 64), record(1, 0.6, 2.0, 32), record(2, 0.5, 1.9, 24)]
    finals = bench({0: (1.0, 0.7), 1: (1.5, 0.6), 2: (1.8, 0.5)})  # trial 1 was measured too fast
    front = finals.front(records, {"map": 0.7}, notice=lambda line: None)
    assert finals.measured == [0, 1, 2]
    assert front_numbers(front) == [0, 1, 2]


def test_trials_of_one_shape_share_their_speed_so_the_better_one_stands_alone(bench):
    records = [record(0, 0.7, 1.0, 64), record(1, 0.6, 2.00, 32), record(2, 0.5, 2.01, 32)]
    finals = bench({0: (1.0, 0.7), 1: (2.0, 0.6), 2: (2.02, 0.5)})
    front = finals.front(records, {"map": 0.7}, notice=lambda line: None)
    assert front_numbers(front) == [0, 1]
    assert front.points[2].metrics["speedup"] == front.points[1].metrics["speedup"]


def test_asked_again_nothing_is_measured_again(bench):
    records = [record(0, 0.7, 1.0, 64)]
    first = bench({0: (1.0, 0.7)})
    front = first.front(records, {"map": 0.7}, notice=lambda line: None)
    second = bench({})
    assert second.front(records, {"map": 0.7}, notice=lambda line: None).points == front.points
    assert second.measured == []

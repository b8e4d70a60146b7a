from collections.abc import Callable

import pytest

from pruning.ledger import LedgerRow
from pruning.schedule import Schedule
from tracking.record import EpochPoint, TrialRecord

MakeRecord = Callable[..., TrialRecord]


def _make_record(number: int, mAP: float, speedup: float, /, method: str = "plfp", **fields: object) -> TrialRecord:
    schedule = Schedule(
        method=method,
        ratios={"conv1": 0.5, "layer1.0.conv1": 0.25},
        decay=0.01 if method == "plfp" else None,
        epochs=2,
        learning_rate=1e-3,
    )
    ledger = (LedgerRow(group="conv1", width=64, asked_ratio=0.5, aligned_width=32, achieved_width=32),)
    curve = tuple(EpochPoint(epoch=e, loss=1.0 / (e + 1), map=mAP - 0.01, seconds=1.5) for e in range(2))
    metrics = {"map": mAP, "map_low": mAP - 0.02, "map_high": mAP + 0.01, "speedup": speedup, "seconds": 4.0}
    values: dict = {
        "number": number,
        "status": "finished",
        "params": {"level": 0.4, "offset:conv1": 0.1, "method": method, "epochs": 2},
        "schedule": schedule,
        "curve": curve,
        "metrics": metrics,
        "plan": {"conv1": tuple(range(32))},
        "ledger": ledger,
        "provenance": {"time_utc": "2026-01-02T03:04:05+00:00"},
    }
    return TrialRecord(**{**values, **fields})


@pytest.fixture
def make_record() -> MakeRecord:
    """Return a function (number, mAP, speedup, method, other fields) -> a finished trial's record."""
    return _make_record


@pytest.fixture
def records(make_record) -> list[TrialRecord]:
    """Return six trials: four that finished, one that failed, one that was stopped."""
    tested = {
        "map": 0.55,
        "speedup": 2.0,
        "speedup_low": 1.9,
        "speedup_high": 2.1,
        "test_map": 0.53,
        "size_bytes": 1e7,
    }
    return [
        make_record(4, 0.55, 2.0, metrics=tested),
        make_record(1, 0.60, 1.5, method="l1"),
        make_record(2, 0.50, 1.9, method="fpgm"),
        make_record(0, 0.40, 3.0),
        TrialRecord(number=3, status="failed", message="out of memory"),
        TrialRecord(number=5, status="stopped"),
    ]

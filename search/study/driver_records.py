"""Records that the driver writes for trials whose workers left none."""

import math
import numbers
from collections.abc import Mapping
from typing import Any

from pruning.schedule import Schedule
from spaces.params import params_of
from tracking.provenance import provenance
from tracking.record import METRICS, EpochPoint, TrialRecord


def failed_record(number: int, schedule: Schedule, message: str | None) -> TrialRecord:
    """Return the record of a trial whose worker was lost.

    Args:
        number: of the trial.
        schedule: that it was given.
        message: its last error; None if it left none.
    """
    return TrialRecord(
        number=number,
        status="failed",
        message=message or "its worker was lost more often than is tried again",
        schedule=schedule,
        params=params_of(schedule),
        provenance=provenance(),
    )


def stopped_record(
    number: int, schedule: Schedule, curve: tuple[EpochPoint, ...], result: Mapping[str, Any]
) -> TrialRecord:
    """Return the record of a trial that the scheduler stopped.

    Args:
        number: of the trial.
        schedule: that it was given.
        curve: its epochs.
        result: what it reported last; finite metrics of `tracking.record` are kept, anything else is left out.
    """
    epochs = curve[-1].epoch if curve else 0
    return TrialRecord(
        number=number,
        status="stopped",
        message=f"stopped by the scheduler after epoch {epochs} of {schedule.total_epochs}",
        schedule=schedule,
        params=params_of(schedule),
        curve=curve,
        metrics={key: float(value) for key, value in result.items() if key in METRICS and _is_finite(value)},
        provenance=provenance(),
    )


def _is_finite(value: Any) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)

"""The budget of a sweep in trials, epochs and hours, and how much of it is spent."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tracking.files import write_atomically

# A driver that is killed loses no more of its time than this.
SAVE_EVERY_SECONDS = 10.0


class StagnationSettings(BaseModel):
    """The key `stop` of [search]: when a search ends because its front grows no more.

    Attributes:
        growth: the least growth of the front's hypervolume, as a share of what it was `trials` ago.
        trials: the last so many finished trials over which it has to grow by that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    growth: float = Field(gt=0)
    trials: int = Field(ge=1)


@dataclass(frozen=True)
class Spent:
    """What a sweep has spent of its budget.

    Attributes:
        trials: that count towards the budget: finished, or stopped by the scheduler.
        epochs: trained by all trials.
        hours: that its drivers have run, summed over restarts.
    """

    trials: int = 0
    epochs: int = 0
    hours: float = 0.0


class Budget(BaseModel):
    """What a sweep may spend; the first bound that is reached ends it.

    Attributes:
        trials: how many may finish or be stopped by the scheduler; failed, excluded and repeated ones do not count.
        epochs: how many may be trained, those of failed trials included; no trial starts that could exceed them.
        hours: how long its drivers may run, summed over restarts; trials that run by then are not interrupted.
        stop: ends the search when the front grows no more; None never does.

    Raises:
        ValueError: neither trials nor epochs nor hours are given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trials: int | None = Field(default=None, ge=1)
    epochs: int | None = Field(default=None, ge=1)
    hours: float | None = Field(default=None, gt=0)
    stop: StagnationSettings | None = None

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if self.trials is None and self.epochs is None and self.hours is None:
            raise ValueError("a budget needs an end: give trials, epochs or hours")
        return self

    def check_longest(self, longest_trial: int) -> None:
        """Refuse a budget of epochs that does not suffice for one trial.

        Args:
            longest_trial: epochs of the longest trial of the space.

        Raises:
            ValueError: says how many one trial needs.
        """
        if self.epochs is not None and self.epochs < longest_trial:
            raise ValueError(f"a budget of {self.epochs} epochs is less than one trial's, {longest_trial}: give more")

    def used_up(self, spent: Spent, longest_trial: int) -> str | None:
        """Return, in words, why no further trial may start; None while one may.

        Args:
            spent: so far, with the running trials counted as if they had ended.
            longest_trial: epochs that one more trial may take.
        """
        if self.trials is not None and spent.trials >= self.trials:
            return f"{spent.trials} of {self.trials} trials have finished"
        if self.epochs is not None and spent.epochs + longest_trial > self.epochs:
            return f"{spent.epochs} of {self.epochs} epochs are trained, and one more trial takes up to {longest_trial}"
        if self.hours is not None and spent.hours >= self.hours:
            return f"{spent.hours:.2f} of {self.hours:g} hours are over"
        return None


class _Saved(BaseModel, frozen=True, extra="forbid"):
    """clock.json: how many seconds the drivers of a sweep have run."""

    seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class Clock:
    """The time that the drivers of a sweep have run, kept in a file over restarts.

    Args:
        path: of the file.
        now: a clock in seconds, whatever it counts from.

    Raises:
        ValueError: the file is damaged.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._path, self._now = path, now
        self._before = _read(path).seconds
        self._started = self._saved = now()

    @property
    def hours(self) -> float:
        """Hours that drivers of this sweep have run so far, including the current one."""
        return (self._before + self._now() - self._started) / 3600

    def tick(self) -> None:
        """Save the time if the last save is `SAVE_EVERY_SECONDS` ago."""
        if self._now() - self._saved >= SAVE_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        """Save the time now."""
        self._saved = self._now()
        write_atomically(self._path, _Saved(seconds=self.hours * 3600).model_dump_json())


def _read(path: Path) -> _Saved:
    if not path.is_file():
        return _Saved()
    try:
        return _Saved.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path} is damaged: remove it, and the sweep's hours count from 0") from error

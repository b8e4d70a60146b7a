"""A trial under Ray Tune: where it runs and which files it keeps; what it does is in `trainables.trial`."""

import contextlib
import os
import socket
import traceback
import uuid
from pathlib import Path
from typing import Any, Literal

from ray import tune

from pruning.schedule import Schedule
from retrieval.text import as_utf8
from retrieval.unreadable_images import UnreadableImagesError
from spaces.params import params_of
from tracking.format_version import UnknownFormatError
from tracking.limits import Limits
from tracking.provenance import provenance
from tracking.record import TrialRecord
from trainables.baseline import baseline_identity, need_baseline
from trainables.folder import LeaseLostError, TrialFolder
from trainables.ray_resources import describe_worker, use_ray_resources
from trainables.settings import TrialSettings
from trainables.speed.latency_cache import LatencyCache, LatencyMeter, Measure
from trainables.trial import Trial
from trainables.trial_protocol import TrialProtocol
from trainables.watchdog import hangs, watched

_UNLIMITED = Limits()
_HANGS = 2  # a trial that hangs once may have had a bad machine


class RayTrial(tune.Trainable):
    """One trial of a sweep, as a trainable of Ray Tune.

    Its config is `{"number": int, "schedule": JSON of a Schedule}`; the searcher may keep other entries there.

    Its state is saved into the trial's own folder of the sweep's storage after every step, so a trial continues from
    its last epoch whoever starts it again: Tune after a lost node, or a new driver after a lost driver. Errors of the
    trial itself (a diverged training, an impossible schedule) end it with a failed record and are not tried again; all
    others are raised, so that Tune tries again elsewhere.

    The costs of a trial are determined before its first epoch. A trial outside the sweep's limits ends there, with an
    excluded record.
    """

    _trial: TrialProtocol | None

    def setup(  # type: ignore[override]  # with_parameters calls it with keywords of our choice
        self,
        config: dict[str, Any],
        *,
        settings: TrialSettings,
        storage: Path,
        baselines: Path,
        meter: LatencyMeter,
        limits: Limits = _UNLIMITED,
        step_timeout_s: float | None = None,
    ) -> None:
        """Prepare the worker process; the keyword arguments come from `tune.with_parameters`.

        Args:
            config: of the first trial.
            settings: of the sweep.
            storage: the sweep's folder.
            baselines: where the dense network is kept.
            meter: of the sweep.
            limits: on the costs of a trial.
            step_timeout_s: how long opening a trial, measuring its costs, an epoch and the final measurements may each
                take. The worker is ended when one takes longer, and the trial is tried again once. None sets no limit.
        """
        self._device = use_ray_resources()
        self._settings, self._baselines = settings, baselines
        speeds = LatencyCache(storage / "speeds", meter)
        self._begin(config, storage=storage, measure=speeds, limits=limits, step_timeout_s=step_timeout_s)

    def _begin(
        self,
        config: dict[str, Any],
        *,
        storage: Path,
        measure: Measure | None,
        limits: Limits,
        step_timeout_s: float | None,
    ) -> None:
        """Prepare what every kind of trial needs."""
        self._sweep_folder, self._measure = storage, measure
        self._limits, self._step_timeout_s = limits, step_timeout_s
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin with another trial in the same process; return True, which tells Tune that this worked."""
        self._number: int = new_config["number"]
        self._schedule = Schedule.model_validate_json(new_config["schedule"])
        self._folder = TrialFolder(self._sweep_folder, self._number)
        # Before anything is read: from now on an older worker of this trial can write nothing more.
        self._folder.acquire(f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4()}")
        self._trial = None
        self._costs: dict[str, float] = {}
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch, and after the last one take the measurements and write the record.

        Returns:
            The epoch's number, loss and mAP, the metrics of the network as it was cut then, and the trial's costs; at
            the trial's end also its status and all its metrics.
        """
        try:
            return self._step()
        except LeaseLostError:
            raise  # the folder belongs to another worker now
        except Exception as error:
            message = as_utf8(f"{type(error).__name__}: {error}")
            with contextlib.suppress(OSError):
                self._folder.note_trace(traceback.format_exc())
            if not is_own_fault(error):
                # For the driver's record, in case this was the last attempt; a full disk cannot take it.
                with contextlib.suppress(OSError):
                    self._folder.note_error(message)
                raise
            return self._end("failed", message=message)

    def _step(self) -> dict[str, Any]:
        if (record := self._folder.record()) is not None:
            # The last worker wrote the record, and its driver was not told.
            return _last_result(record)
        if self._trial is None:
            if len(hangs(self._folder.trace)) >= _HANGS:
                return self._end("failed", message=self._folder.last_error())
            trial, self._costs = self._take_up()
            self._trial = trial
            if (why := self._limits.explain(self._costs)) is not None:
                return self._end("excluded", message=why, metrics=self._costs)
        trial = self._trial
        if not trial.finished:
            with self._watched():
                trial.step()
                self._folder.save_checkpoint(trial.state_dict(), trial.curve)
        return self._finish(trial) if trial.finished else self._result(trial)

    def _take_up(self) -> tuple[TrialProtocol, dict[str, float]]:
        with self._watched():
            trial = self._open()
        with self._watched():
            return trial, trial.costs(self._measure)

    def _open(self) -> TrialProtocol:
        """Return the trial in the state of its last checkpoint."""
        baseline = need_baseline(self._settings, self._baselines)
        trial = Trial(self._schedule, self._settings, baseline, device=self._device)
        if (state := self._folder.load_checkpoint()) is not None:
            trial.load_state_dict(state)
        return trial

    def _result(self, trial: TrialProtocol) -> dict[str, Any]:
        point = trial.curve[-1]
        return {
            **self._costs,
            **trial.quality,
            "epoch": point.epoch,
            "loss": point.loss,
            "map": point.map,
            "done": False,
        }

    def _finish(self, trial: TrialProtocol) -> dict[str, Any]:
        with self._watched():
            outcome = trial.finish(self._measure)
            plan, ledger = dict(outcome.plan), outcome.ledger
            record = self._record("finished", metrics=outcome.metrics, plan=plan, ledger=ledger)
            self._folder.finish(record, outcome.network, outcome.packed)
        return {**self._result(trial), **_last_result(record)}

    def _end(self, status: Literal["failed", "excluded"], **fields: Any) -> dict[str, Any]:
        record = self._record(status, **fields)
        self._folder.finish(record)
        return _last_result(record)

    def _watched(self) -> contextlib.AbstractContextManager[None]:
        return watched(self._folder.trace, self._step_timeout_s)

    def _record(self, status: Literal["finished", "failed", "excluded"], **fields: Any) -> TrialRecord:
        return TrialRecord(
            number=self._number,
            status=status,
            schedule=self._schedule,
            params=params_of(self._schedule),
            curve=tuple(self._trial.curve) if self._trial else self._folder.curve(),
            provenance=self._provenance(),
            **fields,
        )

    def _provenance(self) -> dict[str, str]:
        return provenance(
            **describe_worker(self._device),
            seed=str(self._settings.finetune.seed),
            baseline=baseline_identity(self._settings),
        )


def is_own_fault(error: Exception) -> bool:
    """Return whether an error follows from the trial itself, so that another attempt would end the same way.

    Images that cannot be read could be read when the sweep began, so the node or its mount is at fault. So is an older
    installation that does not know the format version of a file.
    """
    of_the_node = UnreadableImagesError | UnknownFormatError
    return isinstance(error, FloatingPointError | ValueError) and not isinstance(error, of_the_node)


def _last_result(record: TrialRecord) -> dict[str, Any]:
    """Return the last result of an ended trial, for Tune."""
    return {**record.metrics, "done": True, "status": record.status}

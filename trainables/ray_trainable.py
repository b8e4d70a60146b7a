"""A `Trial` under Ray Tune: where it runs and what it keeps, nothing of what it does."""

import uuid
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from pruning.schedule import Schedule
from retrieval.images import UnreadableImagesError
from spaces.params import params_of
from tracking.provenance import provenance
from tracking.record import TrialRecord
from trainables.assigned import take_assigned
from trainables.baseline import baseline_identity, need_baseline
from trainables.folder import LeaseLostError, TrialFolder
from trainables.meter import MeterClient
from trainables.settings import TrialSettings
from trainables.trial import Trial


class RayTrial(tune.Trainable):
    """One trial of a sweep. Its config is `{"number": int, "schedule": JSON of a Schedule}`.

    Its state lives in the trial's own folder of the sweep's storage and is saved there after every step, so a trial
    goes on from its last epoch whoever starts it again: Tune after a lost node, or a new driver after a lost driver.
    Errors of the trial itself (a diverged training, an impossible schedule) end it with a failed record and are not
    tried again; everything else is raised, for Tune to try again elsewhere.
    """

    def setup(  # type: ignore[override]  # with_parameters calls it with keywords of our choice
        self,
        config: dict[str, Any],
        *,
        settings: TrialSettings,
        storage: Path,
        baselines: Path,
        meter: MeterClient,
    ) -> None:
        """Called once a worker process; the keyword arguments come from `tune.with_parameters`."""
        self._device = take_assigned()
        self._settings, self._measure = settings, meter
        self._sweep_folder, self._baselines = storage, baselines
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up another trial in the same process; True tells Tune that this worked."""
        self._number: int = new_config["number"]
        self._schedule = Schedule.model_validate_json(new_config["schedule"])
        self._folder = TrialFolder(self._sweep_folder, self._number)
        # Before anything is read: from here on an older worker of this trial can write nothing more.
        self._folder.acquire(f"{ray.get_runtime_context().get_node_id()}-{uuid.uuid4()}")
        self._trial: Trial | None = None
        return True

    def step(self) -> dict[str, Any]:
        """One epoch, and after the last one the measurements and the record."""
        try:
            return self._step()
        except LeaseLostError:
            raise  # the folder is another worker's now
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            if not is_own_fault(error):
                # For the driver's record, should this have been the last attempt.
                self._folder.note_error(message)
                raise
            record = self._record(status="failed", message=message)
            self._folder.finish(record)
            return {"done": True, "status": record.status}

    def _step(self) -> dict[str, Any]:
        if (record := self._folder.record()) is not None:
            # Its last worker got as far as the record, and its driver did not hear of it.
            return {"done": True, "status": record.status}
        trial = self._trial = self._trial or self._open()
        if not trial.finished:
            trial.step()
            self._folder.save_checkpoint(trial.state_dict())
        point = trial.curve[-1]
        result: dict[str, Any] = {"epoch": point.epoch, "loss": point.loss, "map": point.map, "done": trial.finished}
        if trial.finished:
            outcome = trial.finish(self._measure)
            record = self._record(
                status="finished", metrics=outcome.metrics, plan=dict(outcome.plan), ledger=outcome.ledger
            )
            self._folder.finish(record, outcome.network, outcome.packed)
            result |= {**outcome.metrics, "status": record.status}
        return result

    def _open(self) -> Trial:
        baseline = need_baseline(self._settings, self._baselines)
        trial = Trial(self._schedule, self._settings, baseline, device=self._device)
        if (state := self._folder.load_checkpoint()) is not None:
            trial.load_state_dict(state)
        return trial

    def _record(self, **fields: Any) -> TrialRecord:
        trial = self._trial
        return TrialRecord(
            number=self._number,
            schedule=self._schedule,
            params=params_of(self._schedule),
            curve=tuple(trial.curve) if trial else (),
            provenance=provenance(
                device=str(self._device),
                threads=str(torch.get_num_threads()),
                seed=str(self._settings.finetune.seed),
                baseline=baseline_identity(self._settings),
                node=ray.util.get_node_ip_address(),
            ),
            **fields,
        )


def is_own_fault(error: Exception) -> bool:
    """Whether an error follows from the trial itself, so that another attempt elsewhere would end the same way.

    Images that cannot be read were read when the sweep began: that is the node's fault, or its mount's.
    """
    return isinstance(error, FloatingPointError | ValueError) and not isinstance(error, UnreadableImagesError)

"""A `Trial` under Ray Tune: where it runs and what it keeps, nothing of what it does."""

import uuid
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from pruning.schedule import Schedule
from spaces.params import params_of
from tracking.provenance import provenance
from tracking.record import TrialRecord
from trainables.assigned import take_assigned
from trainables.baseline import need_baseline
from trainables.folder import TrialFolder
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
        self._settings, self._sweep_folder, self._measure = settings, storage, meter
        self._baseline = need_baseline(settings, baselines)
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
        except (FloatingPointError, ValueError) as error:
            record = self._record(status="failed", message=f"{type(error).__name__}: {error}")
            self._folder.finish(record)
            return {"done": True, "status": record.status}
        except Exception as error:
            # For the driver's record, should this have been the last attempt.
            self._folder.note_error(f"{type(error).__name__}: {error}")
            raise

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
            self._folder.finish(record, outcome.network)
            result |= {**outcome.metrics, "status": record.status}
        return result

    def _open(self) -> Trial:
        trial = Trial(self._schedule, self._settings, self._baseline, device=self._device)
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
                baseline=self._baseline.folder.name,
                node=ray.util.get_node_ip_address(),
            ),
            **fields,
        )

"""Simulated trials under Ray Tune: the real trainable without training, and faults of workers."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tracking.files import write_atomically
from tracking.limits import Limits
from tracking.provenance import provenance
from trainables.ray_trainable import RayTrial
from trainables.simulation.simulated import Blackbox, SimulatedTrial

_NEVER_S = 1e6
_UNLIMITED = Limits()


@dataclass(frozen=True)
class Fault:
    """A fault that a trial meets before one of its epochs.

    Attributes:
        number: of the trial.
        epoch: from 1.
        kind: "diverge" raises an error of the trial itself, which is not tried again; "raise" raises one of the
            machine, which is; "hang" never returns; "kill" ends the worker's process at once.
        attempts: how many of the trial's first attempts meet it.
    """

    number: int
    epoch: int
    kind: Literal["diverge", "raise", "hang", "kill"]
    attempts: int = 1

    def happen(self, folder: Path) -> None:
        """Raise, hang or kill this process, unless as many attempts have met the fault before.

        A file counts the attempts, because a killed worker forgets them.

        Args:
            folder: of the trial.
        """
        path = folder / f"fault-{self.kind}-{self.epoch}"
        before = int(path.read_text()) if path.is_file() else 0
        if before >= self.attempts:
            return
        write_atomically(path, str(before + 1))
        match self.kind:
            case "diverge":
                raise FloatingPointError(f"simulated: the loss of trial {self.number} is not finite")
            case "raise":
                raise RuntimeError(f"simulated: the machine of trial {self.number} is out of order")
            case "hang":
                time.sleep(_NEVER_S)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)


class SimulatedRayTrial(RayTrial):
    """A `RayTrial` whose epochs only wait, and where faults happen on demand."""

    def setup(  # type: ignore[override]  # with_parameters calls it with keywords of our choice
        self,
        config: dict[str, Any],
        *,
        blackbox: Blackbox,
        storage: Path,
        epoch_seconds: float = 0.0,
        faults: tuple[Fault, ...] = (),
        limits: Limits = _UNLIMITED,
        step_timeout_s: float | None = None,
    ) -> None:
        """Prepare the worker process.

        Args:
            config: of the first trial.
            blackbox: gives the results of trials.
            storage: the sweep's folder.
            epoch_seconds: wall time of an epoch.
            faults: that trials meet.
            limits: on the costs of a trial.
            step_timeout_s: as of `RayTrial`.
        """
        self._blackbox, self._epoch_seconds, self._faults = blackbox, epoch_seconds, faults
        self._begin(config, storage=storage, measure=None, limits=limits, step_timeout_s=step_timeout_s)

    def _open(self) -> SimulatedTrial:
        trial = SimulatedTrial(
            self._schedule, self._blackbox, before_epoch=self._meet_faults, epoch_seconds=self._epoch_seconds
        )
        if (state := self._folder.load_checkpoint()) is not None:
            trial.load_state_dict(state)
        return trial

    def _meet_faults(self, epoch: int) -> None:
        for fault in self._faults:
            if (fault.number, fault.epoch) == (self._number, epoch):
                fault.happen(self._folder.path)

    def _provenance(self) -> dict[str, str]:
        return provenance(device="simulated")

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from pruning.schedule import Schedule
from retrieval.images import UnreadableImagesError
from tracking.format_version import UnknownFormatError
from tracking.limits import Limits
from tracking.record import EpochPoint
from trainables.folder import LeaseLostError, TrialFolder
from trainables.ray_trainable import RayTrial, is_own_fault
from trainables.trial_protocol import Outcome

SCHEDULE = Schedule(method="l1", ratios={"a": 0.5}, epochs=3, learning_rate=1e-3)
COSTS = {"macs": 100.0, "speedup": 2.0}


class ThreeEpochs:
    """A trial of three epochs that trains nothing, counts how often its costs are asked for, and fails on demand."""

    def __init__(self, fault=None) -> None:
        self.curve = []
        self.asked = 0
        self.fault = fault or (lambda epoch: None)

    @property
    def finished(self) -> bool:
        return len(self.curve) == 3

    @property
    def quality(self) -> dict[str, float]:
        return {"map": self.curve[-1].map, "map_low": 0.1} if self.curve else {}

    def costs(self, measure) -> dict[str, float]:
        self.asked += 1
        return COSTS

    def step(self) -> EpochPoint:
        epoch = len(self.curve) + 1
        self.fault(epoch)
        self.curve.append(EpochPoint(epoch=epoch, loss=3.0 - epoch, map=epoch / 10, seconds=1.0))
        return self.curve[-1]

    def finish(self, measure) -> Outcome:
        return Outcome(nn.Identity(), {}, (), {**self.quality, **COSTS, "seconds": 3.0})

    def state_dict(self) -> dict:
        return {"curve": [point.model_dump() for point in self.curve], "weights": torch.zeros(4096)}

    def load_state_dict(self, state: dict) -> None:
        self.curve = [EpochPoint(**point) for point in state["curve"]]


class ScriptedTrial(RayTrial):
    """A `RayTrial` around `ThreeEpochs`, without Tune."""

    def __init__(self, storage: Path, *, limits: Limits | None = None, fault=None) -> None:
        self.fault = fault
        self._begin(
            {"number": 7, "schedule": SCHEDULE.model_dump_json()},
            storage=storage,
            measure=None,
            limits=limits or Limits(),
            step_timeout_s=None,
        )

    def _open(self) -> ThreeEpochs:
        trial = ThreeEpochs(self.fault)
        if (state := self._folder.load_checkpoint()) is not None:
            trial.load_state_dict(state)
        return trial

    def _provenance(self) -> dict[str, str]:
        return {"device": "none"}


@pytest.mark.parametrize(
    ("error", "own"),
    [
        (FloatingPointError("training diverged"), True),
        (ValueError("a ratio that cannot be"), True),
        (UnreadableImagesError({Path("a.jpg"): "missing"}), False),
        (UnknownFormatError("a checkpoint of format version 2"), False),
        (FileNotFoundError("no trained baseline"), False),
        (OSError(28, "No space left on device"), False),
        (RuntimeError("CUDA out of memory"), False),
        (LeaseLostError("held by another"), False),
    ],
)
def test_only_errors_of_the_trial_itself_are_not_tried_again(error, own):
    assert is_own_fault(error) is own


def test_every_result_holds_the_epoch_its_figures_and_the_costs(tmp_path):
    worker = ScriptedTrial(tmp_path)
    first, second, last = worker.step(), worker.step(), worker.step()
    assert first == {"epoch": 1, "loss": 2.0, "map": 0.1, "map_low": 0.1, **COSTS, "done": False}
    assert second == {"epoch": 2, "loss": 1.0, "map": 0.2, "map_low": 0.1, **COSTS, "done": False}
    assert last == {
        "epoch": 3,
        "loss": 0.0,
        "map": 0.3,
        "map_low": 0.1,
        **COSTS,
        "done": True,
        "status": "finished",
        "seconds": 3.0,
    }
    record = TrialFolder(tmp_path, 7).record()
    assert (record.status, record.metrics["map"], len(record.curve)) == ("finished", 0.3, 3)
    assert worker._trial.asked == 1


def test_a_trial_outside_the_limits_ends_excluded_before_its_first_epoch(tmp_path):
    result = ScriptedTrial(tmp_path, limits=Limits(min_speedup=2.5)).step()
    assert result == {"done": True, "status": "excluded", **COSTS}
    record = TrialFolder(tmp_path, 7).record()
    assert (record.status, record.metrics, record.curve) == ("excluded", COSTS, ())
    assert record.message == "min_speedup 2.5: speedup is 2, 20.0% outside"
    assert not (tmp_path / "trials" / "7" / "checkpoint.pt").exists()


def test_a_trial_whose_record_nobody_heard_of_answers_with_it(tmp_path):
    worker = ScriptedTrial(tmp_path)
    last = [worker.step() for _ in range(3)][-1]
    again = ScriptedTrial(tmp_path, fault=pytest.fail).step()
    assert again == {key: value for key, value in last.items() if key not in ("epoch", "loss")}


def test_a_worker_that_takes_over_goes_on_after_the_last_epoch(tmp_path):
    ScriptedTrial(tmp_path).step()
    assert ScriptedTrial(tmp_path).step()["epoch"] == 2
    assert [point.epoch for point in TrialFolder(tmp_path, 7).curve()] == [1, 2]


def test_a_diverged_trial_ends_with_a_failed_record_and_what_it_had_learned(tmp_path):
    def diverge(epoch: int) -> None:
        if epoch == 2:
            raise FloatingPointError("the loss is nan")

    worker = ScriptedTrial(tmp_path, fault=diverge)
    worker.step()
    assert worker.step() == {"done": True, "status": "failed"}
    record = TrialFolder(tmp_path, 7).record()
    assert (record.status, record.message) == ("failed", "FloatingPointError: the loss is nan")
    assert [point.epoch for point in record.curve] == [1]


def test_a_full_disk_is_no_fault_of_the_trial_and_the_next_worker_goes_on(tmp_path, full_disk):
    worker = ScriptedTrial(tmp_path)
    worker.step()
    files = sorted((tmp_path / "trials" / "7").iterdir())
    with full_disk(), pytest.raises(OSError, match=r"trials/7/checkpoint\.pt"):
        worker.step()
    folder = TrialFolder(tmp_path, 7)
    assert "checkpoint.pt" in folder.last_error()
    assert sorted(folder.path.iterdir()) == sorted([*files, folder.error_trace, folder.path / "last_error"])
    assert folder.record() is None
    assert ScriptedTrial(tmp_path).step()["epoch"] == 2


def hang_of(number: int) -> str:
    stack = f'Timeout (0:01:00)!\nThread 0x1 (most recent):\n  File "f{number}", line 3 in g\n'
    return f"watched for 60 s in thread 0x1\n{stack}"


def test_a_trial_that_hung_once_is_tried_again_and_one_that_hung_twice_has_failed(tmp_path):
    trace = ScriptedTrial(tmp_path)._folder.trace
    trace.write_text(hang_of(1))
    assert ScriptedTrial(tmp_path).step()["epoch"] == 1
    trace.write_text(hang_of(1) + hang_of(2))
    assert ScriptedTrial(tmp_path, fault=pytest.fail).step() == {"done": True, "status": "failed"}
    record = TrialFolder(tmp_path, 7).record()
    assert "a step took longer than 60 s: it hung in g, f2:3" in record.message
    assert [point.epoch for point in record.curve] == [1]


TUNED = """
import sys
from pathlib import Path
from search.driver.environment import prepare_ray

prepare_ray(None)
import ray
from ray import tune
from pruning.schedule import Schedule
from trainables.simulation.closed_form import closed_form
from trainables.simulation.simulated_ray import Fault, SimulatedRayTrial

blackbox = closed_form("smooth", seed=0)
schedule = Schedule(method="l1", ratios={}, epochs=blackbox.epochs, learning_rate=1e-3)
trainable = tune.with_parameters(
    SimulatedRayTrial,
    blackbox=blackbox,
    storage=Path(sys.argv[1]),
    faults=(Fault(7, 2, "hang"),),
    step_timeout_s=4.0,
)
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
tune.Tuner(
    tune.with_resources(trainable, {"cpu": 1}),
    param_space={"number": 7, "schedule": schedule.model_dump_json()},
    run_config=tune.RunConfig(
        storage_path=sys.argv[2],
        verbose=0,
        failure_config=tune.FailureConfig(max_failures=2),
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
    ),
).fit()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_worker_that_hangs_is_ended_and_another_goes_on_where_it_was(tmp_path):
    words = [sys.executable, "-c", TUNED, str(tmp_path / "sweep"), str(tmp_path / "tune")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    folder = TrialFolder(tmp_path / "sweep", 7)
    assert "a step took longer than 4 s: it hung in happen, " in folder.last_error()
    assert folder.record().status == "finished"
    assert [point.epoch for point in folder.record().curve] == list(range(1, 10))

"""Simulated trials answer as real ones do, and go wrong on demand."""

import multiprocessing
import signal

import pytest
import torch

from pruning.schedule import Schedule
from trainables.folder import TrialFolder
from trainables.simulation.closed_form import EPOCHS, closed_form
from trainables.simulation.simulated import SimulatedTrial
from trainables.simulation.simulated_ray import Fault, SimulatedRayTrial

BLACKBOX = closed_form("smooth", 0)
SCHEDULE = Schedule(method="l1", ratios={"layer4.0.conv1": 0.5}, epochs=EPOCHS, learning_rate=1e-3)


def worker(storage, *faults: Fault, number: int = 0) -> SimulatedRayTrial:
    """The class that Tune would run, without Tune."""
    trial = object.__new__(SimulatedRayTrial)
    config = {"number": number, "schedule": SCHEDULE.model_dump_json()}
    trial.setup(config, blackbox=BLACKBOX, storage=storage, faults=faults)
    return trial


def steps(trial: SimulatedRayTrial) -> list[dict]:
    results = [trial.step()]
    while not results[-1]["done"]:
        results.append(trial.step())
    return results


def test_a_simulated_trial_goes_through_the_black_boxs_curve_epoch_by_epoch():
    trial = SimulatedTrial(SCHEDULE, BLACKBOX)
    assert trial.quality == {}
    points = []
    while not trial.finished:
        points.append(trial.step())
        assert trial.quality == {"map": points[-1].map}
    assert tuple(points) == tuple(trial.curve) == BLACKBOX.curve(SCHEDULE)


def test_its_metrics_are_the_last_quality_all_costs_and_the_virtual_time():
    trial = SimulatedTrial(SCHEDULE, BLACKBOX)
    while not trial.finished:
        trial.step()
    curve = BLACKBOX.curve(SCHEDULE)
    assert trial.finish(None).metrics == {
        "map": curve[-1].map,
        **BLACKBOX.costs(SCHEDULE),
        "seconds": pytest.approx(sum(point.seconds for point in curve)),
    }


def test_a_saved_state_goes_on_where_it_was_saved(tmp_path):
    trial, again = SimulatedTrial(SCHEDULE, BLACKBOX), SimulatedTrial(SCHEDULE, BLACKBOX)
    trial.step()
    torch.save(trial.state_dict(), tmp_path / "state")
    again.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert again.curve == trial.curve
    assert again.step() == trial.step()


def test_under_the_ray_wrapper_it_leaves_the_record_of_a_trial(tmp_path):
    results = steps(worker(tmp_path))
    assert [result["map"] for result in results] == [point.map for point in BLACKBOX.curve(SCHEDULE)]
    record = TrialFolder(tmp_path, 0).record()
    assert (record.status, record.curve) == ("finished", BLACKBOX.curve(SCHEDULE))
    assert BLACKBOX.costs(SCHEDULE).items() <= record.metrics.items()


def test_a_trial_that_raises_is_tried_again_and_goes_on_from_its_last_epoch(tmp_path):
    fault = Fault(number=0, epoch=4, kind="raise")
    first = worker(tmp_path, fault)
    for _ in range(3):
        first.step()
    with pytest.raises(RuntimeError, match="out of order"):
        first.step()
    assert [result["epoch"] for result in steps(worker(tmp_path, fault))] == list(range(4, EPOCHS + 1))


def test_a_trial_that_diverges_ends_with_a_failed_record(tmp_path):
    assert steps(worker(tmp_path, Fault(0, 2, "diverge")))[-1]["status"] == "failed"
    assert "not finite" in TrialFolder(tmp_path, 0).record().message


def test_faults_meet_their_own_trial_alone_and_in_as_many_attempts_as_asked(tmp_path):
    fault = Fault(number=1, epoch=1, kind="raise", attempts=2)
    assert steps(worker(tmp_path, fault, number=0))[-1]["status"] == "finished"
    for _ in range(2):
        with pytest.raises(RuntimeError):
            worker(tmp_path, fault, number=1).step()
    assert steps(worker(tmp_path, fault, number=1))[-1]["status"] == "finished"


def test_a_kill_ends_the_process_at_once_and_only_the_first_time(tmp_path):
    fault = Fault(number=0, epoch=1, kind="kill")
    for exit_code in (-signal.SIGKILL, 0):
        process = multiprocessing.get_context("fork").Process(target=fault.happen, args=(tmp_path,))
        process.start()
        process.join(60)
        assert process.exitcode == exit_code

"""Whatever is killed, the same command goes on, and every trial that was asked for is there once, everywhere."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from search.study.journal import open_study
from search.study.tell import counts
from tracking.front import build_front
from tracking.mlflow_runs.mlflow_client import default_tracking_uri, quiet_client
from trainables.folder import read_records
from trainables.simulation.closed_form import closed_form

pytestmark = pytest.mark.ray

DRIVER = Path(__file__).with_name("simulated_sweep.py")
SLOTS = 2
KILLS = 10
NO_MOUNT = 77
# $0 python, $1 driver, $2 its storage, $3 trials, $4 where the storage lives on: the disk goes with its process.
ON_A_SMALL_DISK = f"""
mount -t tmpfs -o size=150k none "$2" || exit {NO_MOUNT}
"$0" "$1" "$2" "$3" && exit 1
mount -o remount,size=64m "$2" && "$0" "$1" "$2" "$3" && cp -r "$2" "$4"
"""


def start(storage: Path, trials: int, faults: str = "[]") -> "subprocess.Popen[bytes]":
    environment = os.environ | {"PYTHONPATH": str(DRIVER.parents[2])}
    with storage.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, str(DRIVER), str(storage), str(trials), faults], stdout=log, stderr=log, env=environment
        )


def epochs_begun(storage: Path) -> Counter[tuple[int, int]]:
    lines = (storage / "epochs.log").read_text().splitlines() if (storage / "epochs.log").is_file() else []
    # Two workers write at a time: lines are whole, but their order is not the trials'.
    return Counter((int(number), int(epoch)) for number, epoch in map(str.split, lines))


def assert_all_agree(storage: Path, trials: int) -> None:
    """Study, records, rungs, front and MLflow tell of the same trials, each once."""
    records = {record.number: record for record in read_records(storage)}
    counted = {number for number, record in records.items() if record.status in ("finished", "stopped")}
    finished = {number for number, record in records.items() if record.status == "finished"}
    assert len(counted) == trials
    study = open_study(storage / "journal.log", ("map", "speedup"))
    assert {trial.number for trial in study.trials if counts(trial)} == counted
    assert not [trial for trial in study.trials if trial.state.name == "RUNNING"]
    told = {trial.number: trial.values for trial in study.trials if trial.state.name == "COMPLETE" and counts(trial)}
    assert told == {number: [records[number].metrics[key] for key in ("map", "speedup")] for number in finished}
    problem = closed_form("knees", 0)
    for number in finished:
        assert records[number].curve == problem.curve(records[number].schedule)
    front = build_front("simulated", records.values(), {"map": 0.75, "speedup": 1.0})
    assert {point.number for point in front.points} == finished
    client = quiet_client(default_tracking_uri(storage))
    runs = client.search_runs([client.get_experiment_by_name("simulated").experiment_id], max_results=1000)
    shown = [int(run.data.tags["prunefront.trial"]) for run in runs if "prunefront.trial" in run.data.tags]
    assert sorted(shown) == sorted(records)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_driver_killed_at_ten_random_moments_loses_and_repeats_nothing(tmp_path):
    storage, trials, moments = tmp_path / "sweep", 60, random.Random(5)
    for _ in range(KILLS):
        driver = start(storage, trials)
        before, deadline = sum(epochs_begun(storage).values()), time.monotonic() + 120
        while sum(epochs_begun(storage).values()) == before and driver.poll() is None:
            assert time.monotonic() < deadline, storage.with_suffix(".log").read_text()
            time.sleep(0.05)
        time.sleep(moments.uniform(0, 4))
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    last = start(storage, trials)
    assert last.wait(timeout=300) == 0, storage.with_suffix(".log").read_text()
    assert_all_agree(storage, trials)
    # An epoch is begun again only where a kill interrupted it, or where its checkpoint was not written yet.
    begun = epochs_begun(storage)
    assert sum(count - 1 for count in begun.values()) <= KILLS * SLOTS
    for record in read_records(storage):
        assert sorted(epoch for number, epoch in begun if number == record.number) == list(
            range(1, len(record.curve) + 1)
        )


@pytest.mark.slow
def test_workers_that_raise_hang_diverge_or_die_cost_no_trial(tmp_path):
    storage, trials = tmp_path / "sweep", 8
    faults = [
        {"number": 1, "epoch": 1, "kind": "kill"},
        {"number": 2, "epoch": 1, "kind": "hang"},
        {"number": 3, "epoch": 1, "kind": "raise"},
        {"number": 4, "epoch": 1, "kind": "diverge"},
        {"number": 5, "epoch": 1, "kind": "raise", "attempts": 9},
    ]
    driver = start(storage, trials, json.dumps(faults))
    assert driver.wait(timeout=300) == 0, storage.with_suffix(".log").read_text()
    assert_all_agree(storage, trials)
    records = {record.number: record for record in read_records(storage)}
    failed = {number: record.message for number, record in records.items() if record.status == "failed"}
    assert set(failed) == {4, 5}
    assert "the loss of trial 4 is not finite" in failed[4]
    assert "the machine of trial 5 is out of order" in failed[5]
    assert all(records[number].status in ("finished", "stopped") for number in (1, 2, 3))
    trace = (storage / "trials" / "2" / "hung").read_text()
    assert "Timeout (0:00:08)" in trace
    assert "in happen" in trace


@pytest.mark.slow
def test_a_full_disk_ends_the_sweep_and_with_room_the_same_command_goes_on(tmp_path):
    storage, kept, trials = tmp_path / "small", tmp_path / "kept", 12
    storage.mkdir()
    words = sys.executable, str(DRIVER), str(storage), str(trials), str(kept)
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK, *words],
        env=os.environ | {"PYTHONPATH": str(DRIVER.parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode == NO_MOUNT:
        pytest.skip(f"this machine lets nobody mount a small disk: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stderr
    assert list(kept.glob("trials/*/record.json"))
    assert_all_agree(kept, trials)

"""Trivial trials through a real Tune: what the rungs stop, what a killed driver leaves, what is raised."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ray.tune.error import TuneError

from search.driver.run_trials import first_cause

DRIVER = [sys.executable, str(Path(__file__).parent / "halving_driver.py")]


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True) if path.is_file() else []


def wait_for(path: Path, count: int, driver: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 240
    while len(lines(path)) < count:
        assert driver.poll() is None, "the driver ended by itself"
        assert time.monotonic() < until, f"{path} has {len(lines(path))} lines after four minutes"
        time.sleep(0.02)


@pytest.mark.ray
@pytest.mark.slow
def test_losers_stop_at_their_rung_and_a_killed_driver_changes_no_decision(tmp_path):
    decided = tmp_path / "rungs.jsonl"
    with subprocess.Popen([*DRIVER, str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
        wait_for(decided, 6, driver)
        driver.send_signal(signal.SIGKILL)
    before = [line for line in lines(decided) if line.endswith("\n")]
    subprocess.run([*DRIVER, str(tmp_path)], check=True, timeout=200, capture_output=True)

    after = lines(decided)
    assert after[: len(before)] == before
    assert len({tuple(line.split(",")[:2]) for line in after}) == len(after), "a question was answered twice"
    epochs = {int(path.name): path.read_text().split() for path in (tmp_path / "trained").iterdir()}
    # No epoch is trained twice, so no stopped trial was taken up again.
    assert all(done == [str(epoch) for epoch in range(1, len(done) + 1)] for done in epochs.values())
    # Trial 3 runs when the driver dies. When its second epoch was over and nobody told, it is judged after the third.
    assert len(epochs.pop(3)) in (2, 3)
    assert {number: len(done) for number, done in epochs.items()} == {0: 4, 1: 1, 2: 4, 4: 4, 5: 1, 6: 4, 7: 4}
    assert not (tmp_path / "tune").exists()


def test_what_tune_wrapped_is_raised_as_it_was():
    def failing() -> None:
        try:
            raise OSError("no space left on device")
        except OSError:
            raise TuneError("a trace") from None

    with pytest.raises(TuneError) as wrapped:
        failing()
    assert str(first_cause(wrapped.value)) == "no space left on device"
    assert isinstance(first_cause(wrapped.value), OSError)
    assert first_cause(bare := TuneError("Tune's own")) is bare

import pytest
import torch

from tracking.format_version import UnknownFormatError
from tracking.record import EpochPoint, TrialRecord
from trainables.folder import LeaseLostError, TrialFolder, read_records

FAILED = TrialRecord(number=3, status="failed", message="m")
CURVE = (EpochPoint(epoch=1, loss=2.5, map=0.25, seconds=3.0), EpochPoint(epoch=2, loss=2.0, map=0.5, seconds=3.5))


def test_state_comes_back_and_goes_when_the_trial_ends(tmp_path):
    folder = TrialFolder(tmp_path, 3)
    folder.acquire("a")
    assert folder.load_checkpoint() is None
    folder.save_checkpoint({"epoch": 1, "weights": torch.arange(3)}, ())
    state = folder.load_checkpoint()
    assert state["epoch"] == 1
    assert state["weights"].tolist() == [0, 1, 2]
    assert folder.record() is None
    folder.finish(FAILED)
    assert folder.record() == FAILED
    assert folder.load_checkpoint() is None
    assert read_records(tmp_path) == [FAILED]


def test_a_worker_whose_lease_was_taken_over_can_write_nothing(tmp_path):
    old, new = TrialFolder(tmp_path, 3), TrialFolder(tmp_path, 3)
    old.acquire("old")
    new.acquire("new")
    with pytest.raises(LeaseLostError, match="held by new"):
        old.save_checkpoint({"epoch": 9}, CURVE)
    with pytest.raises(LeaseLostError, match="held by new"):
        old.finish(FAILED)
    assert new.load_checkpoint() is None
    assert new.curve() == ()
    assert new.record() is None


def test_a_checkpoint_that_would_run_code_is_not_loaded(tmp_path, capsys):
    folder = TrialFolder(tmp_path, 3)
    folder.acquire("a")
    torch.save({"x": Evil()}, folder.path / "checkpoint.pt")
    assert folder.load_checkpoint() is None
    assert "code ran" not in capsys.readouterr().out


def test_a_damaged_checkpoint_lets_the_trial_start_over_and_says_so(tmp_path, caplog):
    folder = TrialFolder(tmp_path, 3)
    folder.acquire("a")
    (folder.path / "checkpoint.pt").write_bytes(b"PK\x03\x04 half of it")
    assert folder.load_checkpoint() is None
    assert "starts over" in caplog.text


def test_a_checkpoint_carries_its_version_and_one_without_is_read(tmp_path):
    folder = TrialFolder(tmp_path, 3)
    folder.acquire("a")
    folder.save_checkpoint({"epoch": 1}, ())
    saved = torch.load(folder.path / "checkpoint.pt", weights_only=True)
    assert saved["format_version"] == 1
    assert folder.load_checkpoint() == {"epoch": 1}
    torch.save({"epoch": 2}, folder.path / "checkpoint.pt")
    assert folder.load_checkpoint() == {"epoch": 2}


def test_a_checkpoint_of_a_newer_version_is_refused_not_trained_over(tmp_path):
    folder = TrialFolder(tmp_path, 3)
    folder.acquire("a")
    torch.save({"format_version": 2, "epoch": 2}, folder.path / "checkpoint.pt")
    with pytest.raises(UnknownFormatError, match=r"checkpoint\.pt is a checkpoint of format version 2"):
        folder.load_checkpoint()


def test_the_curve_is_that_of_the_last_checkpoint_and_goes_when_somebody_else_ends_the_trial(tmp_path):
    worker, driver = TrialFolder(tmp_path, 3), TrialFolder(tmp_path, 3)
    worker.acquire("worker")
    assert worker.curve() == ()
    worker.save_checkpoint({"epoch": 1}, CURVE[:1])
    worker.save_checkpoint({"epoch": 2}, CURVE)
    driver.acquire("driver")
    assert driver.curve() == CURVE
    driver.finish(TrialRecord(number=3, status="stopped", message="at epoch 2", curve=driver.curve()))
    assert driver.curve() == ()
    assert driver.load_checkpoint() is None
    assert sorted(path.name for path in driver.path.iterdir()) == ["lease", "record.json"]
    assert driver.record().curve == CURVE


def test_on_a_full_disk_the_old_state_stays_whole_and_the_error_names_the_file(tmp_path, full_disk):
    folder = TrialFolder(tmp_path, 3)
    folder.acquire("a")
    folder.save_checkpoint({"epoch": 1}, CURVE[:1])
    files = sorted(folder.path.iterdir())
    with full_disk():
        with pytest.raises(OSError, match=r"trials/3/checkpoint\.pt"):
            folder.save_checkpoint({"epoch": 2, "weights": torch.zeros(4096)}, CURVE)
        with pytest.raises(OSError, match=r"trials/3/weights\.safetensors"):
            folder.finish(FAILED, torch.nn.Linear(64, 64))
        with pytest.raises(OSError, match=r"trials/3/record\.json"):
            folder.finish(FAILED.model_copy(update={"message": "m" * 5000}))
    assert sorted(folder.path.iterdir()) == files
    assert folder.load_checkpoint() == {"epoch": 1}
    assert folder.curve() == CURVE[:1]
    assert folder.record() is None


def test_the_last_error_is_a_hang_until_another_attempt_ends_in_an_error(tmp_path):
    folder = TrialFolder(tmp_path, 3)
    folder.acquire("a")
    assert folder.last_error() is None
    folder.note_error("first")
    folder.trace.write_text(HUNG)
    assert folder.last_error() == (
        f"a step took longer than 60 s: it hung in wait, threading.py:324 (the whole trace is in {folder.trace})"
    )
    folder.note_error("second")
    assert folder.last_error() == "second"


HUNG = """watched for 60 s in thread 0x00007f1b2c3d4e5f
Timeout (0:01:00)!
Thread 0x00007f1b2c3d0000 (most recent call first):
  File "other.py", line 1 in other
Thread 0x00007f1b2c3d4e5f (most recent call first):
  File "threading.py", line 324 in wait
  File "trial.py", line 12 in step
"""


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))

import pytest
import torch

from tracking.record import TrialRecord
from trainables.folder import LeaseLostError, TrialFolder, read_records

FAILED = TrialRecord(number=3, status="failed", message="m")


def test_state_comes_back_and_goes_when_the_trial_ends(tmp_path):
    folder = TrialFolder(tmp_path, 3)
    folder.acquire("a")
    assert folder.load_checkpoint() is None
    folder.save_checkpoint({"epoch": 1, "weights": torch.arange(3)})
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
        old.save_checkpoint({"epoch": 9})
    with pytest.raises(LeaseLostError, match="held by new"):
        old.finish(FAILED)
    assert new.load_checkpoint() is None
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


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))

import subprocess
import sys
from datetime import datetime

import pytest
import torch

from tracking import provenance as module
from tracking.provenance import provenance


def test_versions_are_the_installed_ones():
    described = provenance()
    assert described["torch"] == torch.__version__.partition("+")[0]
    assert described["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {
        "torchvision",
        "onnxruntime",
        "ray",
        "optuna",
        "mlflow",
        "torch-pruning",
        "faiss",
    } <= described.keys()
    assert "none" not in described.values()


def test_the_time_is_utc():
    assert datetime.fromisoformat(provenance()["time_utc"]).utcoffset().total_seconds() == 0


def test_nothing_is_imported_to_tell_its_version():
    code = "import sys; from tracking.provenance import provenance; provenance(); print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def test_the_caller_may_add_but_not_overwrite():
    assert provenance(device="target-1")["device"] == "target-1"
    with pytest.raises(ValueError, match="torch"):
        provenance(torch="9.9")


def test_a_changed_tree_is_called_dirty(tmp_path):
    assert module._git_commit(tmp_path) == "unknown"
    _git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one")
    _git(tmp_path, "add", "file")
    _git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "one")
    clean = module._git_commit(tmp_path)
    (tmp_path / "file").write_text("two")
    assert len(clean) == 40
    assert module._git_commit(tmp_path) == f"{clean}-dirty"


def test_a_folder_inside_another_checkout_has_no_commit_of_its_own(tmp_path):
    _git(tmp_path, "init", "-q")
    (tmp_path / "installed").mkdir()
    assert module._git_commit(tmp_path / "installed") == "unknown"


def _git(folder, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)

"""What CONTRIBUTING says of a new loss, done in a copy of the tree: its file and its row are all that it takes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
PACKAGES = ("retrieval", "trainables", "pruning", "spaces", "tracking")


def test_a_loss_is_its_file_and_its_row(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    losses = tmp_path / "retrieval" / "training" / "losses"
    shutil.copy(HERE / "neighbours_loss.py", losses / "neighbours.py")
    _insert(
        losses / "registry.py",
        before="from retrieval.training.losses.reid import REID\n",
        line="from retrieval.training.losses.neighbours import NEIGHBOURS\n",
    )
    _insert(losses / "registry.py", before='    "reid": REID,\n', line='    "neighbours": NEIGHBOURS,\n')
    done = subprocess.run(
        [sys.executable, HERE / "loss_check.py", tmp_path / "data"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Input should be greater than 0",
        "Value error, margin is 0.5, but neighbours takes only temperature, classes_per_batch, images_per_class",
        "True",
        "False",
        "True",
    ]


def _insert(path: Path, *, before: str, line: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, line + before))

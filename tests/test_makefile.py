"""Which Python `make setup` takes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def make(path: Path, tmp_path: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """What makes the virtual environment, where the PATH has `path` and what the system cannot do without."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "MAKEFLAGS", "MAKELEVEL")}
    venv = tmp_path / "venv"
    return subprocess.run(
        [shutil.which("make") or "", "-C", str(ROOT), f"VENV={venv}", *words, f"{venv}/bin/uv"],
        env={**kept, "PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def pythons(tmp_path: Path) -> Path:
    """A folder for the PATH: a 3.13 that starts nothing, as a shim of pyenv, and this Python under the other names."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sh").symlink_to("/bin/sh")
    (folder / "python3.13").write_text("#!/bin/sh\nexit 127\n")
    for name in ("python3.12", "python3.11"):
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for script in folder.glob("python*"):
        script.chmod(0o755)
    return folder


def test_the_newest_that_works_is_taken(pythons, tmp_path):
    assert '"python3.12" -m venv' in make(pythons, tmp_path, "--dry-run").stdout
    (pythons / "python3.12").unlink()
    assert '"python3.11" -m venv' in make(pythons, tmp_path, "--dry-run").stdout


def test_the_one_that_is_named_is_taken(pythons, tmp_path):
    assert '"python3.11" -m venv' in make(pythons, tmp_path, "--dry-run", "PYTHON=python3.11").stdout


@pytest.mark.parametrize("words", [[], ["PYTHON=python3.13"]])
def test_where_none_works_one_line_says_what_to_do(pythons, tmp_path, words):
    for name in ("python3.12", "python3.11"):
        (pythons / name).unlink()
    done = make(pythons, tmp_path, *words)
    line, last = done.stderr.splitlines()
    assert line.startswith("python3.13 is no Python of 3.11 to 3.13" if words else "there is no Python of 3.11 to 3.13")
    assert "make PYTHON=/path/to/python" in line
    assert "***" in last  # make's own
    assert not (tmp_path / "venv").exists()

"""What CONTRIBUTING says of a new command: its file in search/cli/commands/ is all that it takes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from search.cli.package_check import PACKAGES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of our packages with one more file."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).parent / "hello.py", tmp_path / "search" / "cli" / "commands" / "hello.py")
    return tmp_path


def run(tree: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "search", *words]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=300)


def test_a_new_file_is_a_new_command_with_help_and_errors_like_all_others(tree: Path) -> None:
    said = run(tree, "hello", "search/sweeps/demo.toml", "--name", "Ada")
    assert (said.returncode, said.stdout) == (0, "hello Ada, this is mini_resnet\n"), said.stderr
    refused = run(tree, "hello", "none.toml")
    assert (refused.returncode, refused.stderr) == (2, "error: sweep file none.toml does not exist\n")
    listed = run(tree, "--help").stdout.splitlines()
    last = next(line for line in reversed(listed) if line.strip())
    assert last.split(maxsplit=1) == ["hello", "Greet someone, and name the network of a sweep file."]

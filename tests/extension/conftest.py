"""A copy of the tree, to which each test does what CONTRIBUTING says."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from search.cli.package_check import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Copy:
    """The packages, the contract tests and pyproject.toml in a folder of their own, with no line changed yet."""

    path: Path

    def add(self, example: str, to: str) -> None:
        """Put one of the examples beside this file where it belongs."""
        shutil.copy(HERE / example, self.path / to)

    def insert(self, file: str, *, before: str, line: str) -> None:
        """Write a line before one that stands there once."""
        text = (self.path / file).read_text()
        assert text.count(before) == 1
        (self.path / file).write_text(text.replace(before, line + before))

    def process(self, *words: object, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
        """Run Python in the copy; whatever it imports of ours is the copy's."""
        environment = {**os.environ, "PYTHONPATH": str(self.path), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *map(str, words)]
        return subprocess.run(
            command, cwd=self.path, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    def run(self, *words: object) -> str:
        """Run Python in the copy, and return what it prints."""
        done = self.process(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    tree = tmp_path_factory.mktemp("tree")
    for folder in (*PACKAGES, "tests/contract"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    return Copy(tree)

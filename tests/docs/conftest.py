"""A folder that looks like a clone after `make setup`, to run the documentation's own commands in."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_blocks import ROOT, blocks

_CLONED = (
    *("pruning", "retrieval", "spaces", "tracking", "trainables", "search"),
    *("Makefile", "pyproject.toml", "requirements.txt"),
)

RunBlocks = Callable[..., None]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: links to the repository's files, and a `.venv` that is this environment."""
    for name in _CLONED:
        (tmp_path / name).symlink_to(ROOT / name)
    environment = tmp_path / ".venv"
    environment.mkdir()
    for entry in Path(sys.prefix).iterdir():
        (environment / entry.name).symlink_to(entry)
    # Newer than the lock: nothing is left to install.
    (environment / ".set-up").unlink(missing_ok=True)
    (environment / ".set-up").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_blocks(clone: Path) -> RunBlocks:
    """Run the blocks of a page in order, as they stand: shell, Python, and files that a block's title names."""

    def run(page: Path, *languages: str, timeout: float = 900) -> None:
        for block in blocks(page, *languages):
            if block.title:
                (clone / block.title).write_text(block.text)
            elif block.language == "sh":
                _check(["bash", "-euo", "pipefail", "-c", block.text], clone, timeout)
            elif block.language == "python":
                _check([sys.executable, "-c", block.text], clone, timeout)

    return run


def _check(command: list[str], folder: Path, timeout: float) -> None:
    path = f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"

"""In the driver the data set is opened once, and space and costs are built once, for a sweep and for a dry run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray

DRIVER = Path(__file__).parent / "counting_driver.py"


def counts_of(tmp_path: Path, sweep_file: Path, baselines: Path, *more: str) -> dict[str, int]:
    storage = tmp_path / "sweep"
    words = ["sweep", str(sweep_file), "--storage", str(storage), "--baselines", str(baselines), "--trials", "1", *more]
    command = [sys.executable, str(DRIVER), str(tmp_path / "counts.json"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    counts: dict[str, int] = json.loads((tmp_path / "counts.json").read_text())
    return counts


def test_a_dry_run_opens_the_data_once_and_builds_once(tiny_sweep, tmp_path, tiny_baseline):
    counts = counts_of(tmp_path, tiny_sweep, tiny_baseline.folder.parent, "--dry-run")
    assert counts == {"openings": 1, "spaces": 1, "costs": 1}


def test_a_sweep_opens_the_data_once_and_builds_once(tiny_sweep, tmp_path, tiny_baseline):
    counts = counts_of(tmp_path, tiny_sweep, tiny_baseline.folder.parent)
    assert counts == {"openings": 1, "spaces": 1, "costs": 1}

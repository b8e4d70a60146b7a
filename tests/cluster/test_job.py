"""A sweep through `ray job submit`, on a head with token authentication that is started and stopped for it."""

import contextlib
import os
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil
import pytest

from search.driver.local_cluster import local_head, sweep_command
from tracking.front import read_front
from trainables.folder import read_records

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]


def descendants_alive(mark: str) -> list[str]:
    """Processes that were started, by whatever way, with the mark in their environment."""
    found = []
    for process in psutil.process_iter(["name", "status"]):
        with contextlib.suppress(psutil.Error):
            if process.info["status"] != psutil.STATUS_ZOMBIE and process.environ().get("PRUNEFRONT_TEST") == mark:
                found.append(process.info["name"])
    return found


def test_a_submitted_sweep_ends_with_its_trials_and_its_front(tiny_sweep, tiny_data, tiny_baseline, tmp_path):
    mark = uuid.uuid4().hex
    storage = tmp_path / "sweep"
    words = [*sweep_command(tiny_sweep, tiny_data, storage, trials=2)]
    words += ["--baselines", str(tiny_baseline.folder.parent)]
    program = (
        "import sys; from search.driver.local_cluster import local_head\n"
        "with local_head(2) as head: status = head.submit(*sys.argv[1:])\n"
        "sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=ROOT,
        env=os.environ | {"PRUNEFRONT_TEST": mark},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [record.number for record in read_records(storage)] == [0, 1]
    assert len(read_front(storage).points) == 2
    assert "2/2 trials" in done.stdout
    commits = {record.provenance["git_commit"] for record in read_records(storage)}
    assert "unknown" not in commits
    assert descendants_alive(mark) == []


def test_a_stranger_without_the_token_is_refused():
    with local_head(1) as head, pytest.raises(HTTPError) as refused:
        urlopen(f"{head.job_address}/api/jobs/", timeout=10)
    assert refused.value.code == 401
    refused.value.close()

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tracking.mlflow_runs.mlflow_client import quiet_client
from tracking.mlflow_runs.store import MlflowStore


class _Server:
    """A real `mlflow server` on loopback that can be killed and started again on the same port and database."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._folder = folder
        self.uri = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        backend = ["--backend-store-uri", f"sqlite:///{self._folder}/server.db"]
        artifacts = ["--artifacts-destination", str(self._folder / "served")]
        address = ["--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"]
        with open(self._folder / "server.log", "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *backend, *artifacts, *address],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,  # its workers are its own process group, and die with it
            )
        _wait_until(self._answers, 120)

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self._folder / "server.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as reply:
                return reply.status == 200
        except OSError:
            return False


def _wait_until(happened: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, f"{happened} did not happen in {timeout_s} s"
        time.sleep(0.2)


def _runs(uri: str) -> list:
    client = quiet_client(uri)
    experiment = client.get_experiment_by_name("tiny")
    return client.search_runs([experiment.experiment_id]) if experiment else []


@pytest.mark.slow
def test_records_published_while_the_server_is_dead_arrive_once_when_it_is_back(make_record, tmp_path):
    server = _Server(tmp_path)
    try:
        store = MlflowStore(server.uri, "tiny", tmp_path / "sweep")
        store.publish(make_record(0, 0.6, 2.0))
        _wait_until(lambda: any(run.info.status == "FINISHED" for run in _runs(server.uri)), 60)
        server.kill()
        store.sync([make_record(number, 0.5, 3.0) for number in (0, 1, 2)])
        time.sleep(3)
        server.start()
        assert store.close(timeout_s=90) == []
        numbers = sorted(run.data.tags.get("prunefront.trial", "parent") for run in _runs(server.uri))
        assert numbers == ["0", "1", "2", "parent"]
    finally:
        server.kill()


@pytest.mark.slow
def test_what_a_closed_store_could_not_send_the_next_start_sends(make_record, tmp_path):
    server = _Server(tmp_path)
    records = [make_record(number, 0.5, 3.0) for number in range(3)]
    try:
        first = MlflowStore(server.uri, "tiny", tmp_path / "sweep")
        first.publish(records[0])
        _wait_until(lambda: any(run.info.status == "FINISHED" for run in _runs(server.uri)), 60)
        server.kill()
        first.sync(records)
        assert first.close(timeout_s=3) == [1, 2]
        server.start()
        second = MlflowStore(server.uri, "tiny", tmp_path / "sweep")
        second.sync(records)
        assert second.close(timeout_s=90) == []
        assert len(_runs(server.uri)) == 4
    finally:
        server.kill()

"""A Ray head on this machine, started for one sweep that is submitted with `ray job submit`, and stopped again.

python -m search.driver.local_cluster --data data/mini --storage runs/cluster-demo
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated
from urllib.request import Request, urlopen

import typer

from search.errors import FailedError
from tracking.provenance import provenance
from trainables.threads import available_threads

_BIN = Path(sys.executable).parent
_START_S, _STOP_S = 120.0, 30.0
_AGENT_S, _AGENT_PAUSE_S = 300.0, 5.0  # each attempt to submit takes a core for seconds, which the agent needs to start
_NO_AGENT = "No available agent to submit job"


@dataclass(frozen=True)
class Head:
    """A running Ray head.

    Attributes:
        job_address: where jobs are submitted.
        environment: the environment variables that its clients need.
    """

    job_address: str
    environment: dict[str, str]

    def submit(self, *entrypoint: str) -> int:
        """Run `ray job submit --working-dir . -- ENTRYPOINT`, show its log as it comes, and return the exit status."""
        command = [str(_BIN / "ray"), "job", "submit", "--address", self.job_address]
        # The working directory is uploaded without its git history.
        variables = {"PRUNEFRONT_COMMIT": provenance()["git_commit"]}
        command += ["--working-dir", ".", "--runtime-env-json", json.dumps({"env_vars": variables})]
        command += ["--", *entrypoint]
        deadline = time.monotonic() + _AGENT_S
        while True:
            status, early = self._run(command)
            if status == 0 or not early or time.monotonic() > deadline:
                return status
            time.sleep(_AGENT_PAUSE_S)

    def _run(self, command: Sequence[str]) -> tuple[int, bool]:
        """Return the exit status, and whether the head's agent, which starts last, was not yet there to take a job."""
        early = False
        with subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                early = early or _NO_AGENT in line
                typer.echo(line, nl=False)
        return process.returncode, early


@contextmanager
def local_head(cpus: int) -> Iterator[Head]:
    """Start a head with the dashboard on loopback, free ports and a token, and stop it when the context ends.

    Args:
        cpus: that it offers.

    Yields:
        The head, ready to take jobs.

    Raises:
        FailedError: it did not start; the message ends with its last words.
    """
    # Ray's last processes may still write into the folder while it is removed.
    with TemporaryDirectory(prefix="prunefront-ray-", ignore_cleanup_errors=True) as name:
        token, log = Path(name) / "token", Path(name) / "head.log"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        environment = {
            **os.environ,
            "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}",  # `python` in a job is this environment's
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        environment.pop("RAY_ADDRESS", None)
        port, dashboard = free_port(), free_port()
        command = [str(_BIN / "ray"), "start", "--head", "--block", f"--num-cpus={cpus}", f"--port={port}"]
        command += ["--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
        # Its files are removed with it, and no address file is left for others to join by mistake.
        command += [f"--temp-dir={name}/ray"]
        with log.open("w") as output:
            # A session of its own: Ctrl-C reaches only this process, which then stops the head.
            process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        head = Head(f"http://127.0.0.1:{dashboard}", environment)
        try:
            _wait_until_up(process, head.job_address, token.read_text(), log)
            yield head
        finally:
            _stop(process)


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(process: "subprocess.Popen[bytes]", address: str, token: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            urlopen(Request(f"{address}/api/jobs/", headers={"Authorization": f"Bearer {token}"}), timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)  # not listening yet
    raise FailedError(f"the Ray head did not come up: {' '.join(log.read_text().split()[-40:])}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask the head and its processes to end; kill what is left of its session after a while."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def demo(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sweep file.")] = Path("search/sweeps/demo.toml"),
    data: Annotated[Path, typer.Option(help="The data set.")] = Path("data/mini"),
    storage: Annotated[Path, typer.Option(help="The sweep's folder.")] = Path("runs/cluster-demo"),
    trials: Annotated[int | None, typer.Option(min=1, help="Replaces search.trials of the file.")] = None,
) -> None:
    """Start a Ray head here, submit a sweep to it with `ray job submit`, follow it, and stop the head.

    Example: python -m search.driver.local_cluster --data data/mini --storage runs/cluster-demo
    """
    try:
        with local_head(available_threads()) as head:
            typer.echo(f"Ray head is up; its dashboard: {head.job_address}")
            status = head.submit(*sweep_command(file, data, storage, trials))
    except FailedError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo("Ray head is stopped")
    if status:
        typer.echo("error: the job did not succeed; its log is above", err=True)
        raise typer.Exit(1)


def sweep_command(file: Path, data: Path, storage: Path, trials: int | None = None) -> Sequence[str]:
    """Return the entrypoint of a job, with absolute paths to data and storage: its working directory is a copy."""
    command = ["python", "-m", "search", "sweep", str(file)]
    command += ["--data", str(data.resolve()), "--storage", str(storage.resolve())]
    return command if trials is None else [*command, "--trials", str(trials)]


if __name__ == "__main__":
    typer.run(demo)

"""The commands that a user needs after a sweep."""

import shlex
import sys
from math import floor
from pathlib import Path

from search.errors import FailedError
from search.results.pick import LOSS_TAKEN, option_of, pick
from tracking.front import Front
from tracking.mlflow_runs.mlflow_client import ui_command


def python_command() -> str:
    """Return the path of this environment's Python: relative if it lies below the working directory."""
    return str(_from_here(Path(sys.executable)))


def command(*words: str) -> str:
    """Return one of our commands as it is typed in this working directory."""
    return shlex.join([python_command(), "-m", "search", *words])


def next_steps(front: Front, storage: Path, tracking_uri: str) -> list[str]:
    """Return lines that say where the front's page is, how to open MLflow, and how to pick and export a trial."""
    folder = _from_here(storage)
    lines = [
        f"the front as a page:  {folder / 'front.html'}",
        f"the runs in MLflow:   {_open_mlflow(tracking_uri)}",
    ]
    try:
        number = pick(front, []).point.number
    except FailedError:
        number = front.members()[0].number
    # Rounded down, so that the trial picked above is within the limit as it is typed.
    limit = f"{floor(1000 * (front.dense[front.quality] - LOSS_TAKEN)) / 1000:.3f}"
    lines.append(f"pick:                 {command('pick', str(folder), option_of(front), limit)}")
    lines.append(f"export:               {command('export', str(folder), str(number), '--out', f'bundle-{number}')}")
    return lines


def _open_mlflow(tracking_uri: str) -> str:
    """Return the address of a server, or the command that starts one over a local store."""
    shown = ui_command(tracking_uri)
    return shown if shown == tracking_uri else f"{shlex.quote(python_command())} -m {shown}"


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path

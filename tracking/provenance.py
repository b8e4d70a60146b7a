"""Provenance of numbers: library versions, machine, source commit, time."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

_DISTRIBUTIONS = {
    "torch": "torch",
    "torchvision": "torchvision",
    "onnxruntime": "onnxruntime",
    "ray": "ray",
    "optuna": "optuna",
    "mlflow": "mlflow",
    "torch-pruning": "torch-pruning",
    "faiss": "faiss-cpu",
}
_SOURCE_TREE = Path(__file__).resolve().parent.parent


def provenance(**extra: str) -> dict[str, str]:
    """Describe this process: library versions, platform, cpu, git commit ("-dirty" if changed), time in UTC.

    What cannot be determined is "unknown", and a library that is not installed is "none". Nothing is imported.

    Args:
        **extra: what only the caller knows, for example `device`, `threads`, `seed`.

    Raises:
        ValueError: `extra` names something that is already described.
    """
    known = {**_of_this_process(), "time_utc": datetime.now(UTC).isoformat(timespec="seconds")}
    if taken := sorted(known.keys() & extra.keys()):
        raise ValueError(f"provenance fields {taken} are filled in here; give the extra ones other names")
    return {**known, **extra}


@cache
def _of_this_process() -> dict[str, str]:
    # Cached: the code stays as it was loaded, and asking git takes milliseconds for each of a thousand records.
    return {
        "python": platform.python_version(),
        **{name: _version(distribution) for name, distribution in _DISTRIBUTIONS.items()},
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "git_commit": _git_commit(_SOURCE_TREE),
    }


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "none"


def _cpu_model() -> str:
    # platform.processor() is empty or only "x86_64" on Linux.
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine() or "unknown"


def _git_commit(tree: Path) -> str:
    # An installed copy may lie inside some other project's checkout; that commit would say nothing about us.
    if not (tree / ".git").exists():
        # The copy that a Ray job runs from has no history: whoever submits the job can hand the commit on.
        return os.environ.get("PRUNEFRONT_COMMIT", "unknown")
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()

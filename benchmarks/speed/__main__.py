"""How long the core takes: runs benchmarks/speed/bench_*.py with nothing else beside, and writes docs/results/speed.md.

python -m benchmarks.speed
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tracking.files import write_atomically
from tracking.provenance import provenance

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ("what", "best", "median", "rounds", "peak extra memory", "at most")


def main() -> None:
    """Measure, then write the table."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        files = sorted(str(file.relative_to(ROOT)) for file in Path(__file__).parent.glob("bench_*.py"))
        command = [sys.executable, "-m", "pytest", "-q", *files, f"--benchmark-json={report}"]
        # torch is held to one thread by conftest.py; the BLAS in numpy reads only this, and only at its start.
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=ROOT, env=one_thread, check=False)
        if done.returncode:
            sys.exit(done.returncode)
        found = json.loads(report.read_text())["benchmarks"]
    write_atomically(ROOT / "docs" / "results" / "speed.md", document(found, provenance(threads="1")))


def document(found: Sequence[dict[str, Any]], origin: dict[str, str]) -> str:
    """The whole page, from pytest-benchmark's results."""
    lines = [
        "# How long the core takes",
        "",
        "One thread; the best round is the one least disturbed by the machine's other tenants. Memory is what stands",
        "in RAM at the peak above what stood there before. `at most` is the aim where there is one.",
        "",
        f"Written by `python -m benchmarks.speed` (`make bench`); commit `{origin['git_commit'][:12]}`, "
        f"{origin['cpu']}, torch {origin['torch']}, {origin['time_utc'][:10]}.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|" + "---|" * len(COLUMNS),
        *(f"| {' | '.join(row_of(each))} |" for each in found),
    ]
    return "\n".join(lines) + "\n"


def row_of(found: dict[str, Any]) -> tuple[str, ...]:
    """One benchmark as cells."""
    stats, extra = found["stats"], found["extra_info"]
    name, _, choice = found["name"].removeprefix("test_").replace("_", " ").partition("[")
    peak = f"{extra['peak_extra_mib']:.0f} MiB" if "peak_extra_mib" in extra else "–"
    return (
        f"{name} ({choice.rstrip(']')})" if choice else name,
        _seconds(stats["min"]),
        _seconds(stats["median"]),
        str(stats["rounds"]),
        peak,
        extra.get("at_most", "–"),
    )


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 0.1 else f"{1000 * value:.1f} ms"


if __name__ == "__main__":
    main()

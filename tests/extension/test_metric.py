"""What CONTRIBUTING says of a new metric, done in a copy of the project: its function and its row are enough."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from search.cli.package_check import PACKAGES

HERE = Path(__file__).parent
END_OF_METRICS = '}\n"""Every metric by its key'


def test_a_metric_is_its_function_and_its_row(tiny_sweep, tiny_settings, tiny_baseline, tmp_path):
    project = tmp_path / "project"
    for package in PACKAGES:
        shutil.copytree(HERE.parent.parent / package, project / package, ignore=shutil.ignore_patterns("__pycache__"))
    _add_metric(project / "tracking" / "record.py")
    command = [sys.executable, HERE / "metric_check.py", tiny_sweep, tiny_baseline.folder.parent, tmp_path]
    done = subprocess.run(
        command, cwd=project, env=os.environ | {"PYTHONPATH": str(project)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "parameter_ratio is reported\n"


def _add_metric(record: Path) -> None:
    source = record.read_text()
    assert source.count(END_OF_METRICS) == 1
    source = source.replace(END_OF_METRICS, (HERE / "metric_row.txt").read_text() + END_OF_METRICS)
    # record.py has the import already.
    function = (HERE / "metric_function.py").read_text().partition("\n\n\n")[2]
    record.write_text(source.replace("METRICS: dict", f"{function}\n\nMETRICS: dict", 1))

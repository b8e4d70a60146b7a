"""What CONTRIBUTING says of a new data set format, done in a copy of the tree: its file is all that it takes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent


def test_a_format_is_its_file(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "retrieval", tmp_path / "retrieval", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "label_csv_format.py", tmp_path / "retrieval" / "datasets" / "formats" / "label_csv.py")
    done = subprocess.run(
        [sys.executable, HERE / "format_check.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "oxford gnd market1501 dbstruct utm sfm manifest label_csv folders",
        "label_csv",
        "[3]",
        "('rose', 'tulip')",
        "flowers: Flowers, labels in a CSV file (labels.csv)",
        "flowers: 4 training images of 2 labels",
        "4 images read: all are sound",
    ]

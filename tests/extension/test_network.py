"""What CONTRIBUTING says of a new network, done in a copy of the tree: its file and its row are all that it takes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
PACKAGES = ("retrieval", "trainables", "pruning", "spaces", "tracking")


def test_a_network_is_its_file_and_its_row(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    networks = tmp_path / "retrieval" / "networks"
    shutil.copy(HERE / "plain_network.py", networks / "plain_net.py")
    _insert(
        networks / "network.py",
        before="from retrieval.networks.pooling import",
        line="from retrieval.networks.plain_net import PlainNet\n",
    )
    _insert(networks / "network.py", before='    "resnet18": partial', line='    "plain_net": PlainNet,\n')
    done = subprocess.run(
        [sys.executable, HERE / "network_check.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["(2, 8)", "[16, 32, 64]"]


def _insert(path: Path, *, before: str, line: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, line + before))

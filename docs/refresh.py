"""The figures of docs/results/demo.md from a finished sweep: the table, the picture, and where they come from.

    .venv/bin/python docs/refresh.py runs/demo

The picture is a screenshot of the sweep's own front.html; it needs Debian's chromium.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from search.config import SweepConfig
from search.storage import SweepStorage
from tracking.charts.table import front_columns, front_rows
from tracking.front import Front, read_front

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results" / "demo.md"
PICTURE = ROOT / "docs" / "pictures" / "front.png"
WINDOW = "1280,1180"


def figures(front: Front, config: SweepConfig) -> str:
    """Return the front as a Markdown table, and its origin in one paragraph."""
    columns = front_columns(front)
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(row)} |" for row in front_rows(front)]
    origin = front.provenance
    commit, _, dirty = origin["git_commit"].partition("-")
    data_seed = json.loads((config.data.root / "mini.json").read_text())["seed"]
    versions = ", ".join(f"{name} {origin[name]}" for name in ("torch", "onnxruntime", "ray", "optuna", "mlflow"))
    source = (
        f"{len(front.points)} trials, hypervolume {front.hypervolume:.3f}. Written by `docs/refresh.py` on "
        f"{origin['time_utc'][:10]} from commit `{commit[:12]}{' with changes' if dirty else ''}`: {origin['cpu']}, "
        f"{versions}; seeds: data {data_seed}, dense {config.dense.seed}, fine-tuning {config.finetune.seed}, search "
        f"{config.search.seed}. In brackets: 95 % bootstrap intervals over queries for mAP, the "
        "5th to 95th percentile of paired ratios for speedup."
    )
    return "\n".join([*lines, "", source])


def replace_block(text: str, name: str, content: str) -> str:
    """Put content between `<!-- name:begin -->` and `<!-- name:end -->`."""
    block = f"<!-- {name}:begin -->\n{content}\n<!-- {name}:end -->"
    replaced, count = re.subn(rf"<!-- {name}:begin -->.*?<!-- {name}:end -->", lambda _: block, text, flags=re.S)
    if count != 1:
        raise ValueError(f"{count} blocks named {name!r}, one is right")
    return replaced


def photograph(page: Path, picture: Path) -> None:
    """Take a screenshot of a page in headless Chromium, which opens that file alone."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise FileNotFoundError("chromium is not installed (Debian's package of that name)")
    quiet = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    with TemporaryDirectory() as profile:
        subprocess.run(
            [
                chromium,
                *quiet.split(),
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--virtual-time-budget=5000",
                f"--user-data-dir={profile}",
                f"--window-size={WINDOW}",
                f"--screenshot={picture}",
                page.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def main(sweep: Path) -> None:
    """Refresh the page of the demo and its picture from the sweep's folder."""
    front, config = read_front(sweep), SweepStorage(sweep).card().config
    PAGE.write_text(replace_block(PAGE.read_text(), "front", figures(front, config)))
    PICTURE.parent.mkdir(exist_ok=True)
    photograph(sweep / "front.html", PICTURE)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo"))

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image


def test_a_name_that_is_no_utf8_is_shown_escaped_wherever_a_line_goes(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    for name in ("1.jpg", "2.jpg"):
        (folder / "class").mkdir(parents=True, exist_ok=True)
        with (folder / "class" / name).open("wb") as file:
            Image.new("RGB", (8, 8)).save(file, "JPEG")
    done = subprocess.run([sys.executable, "-m", "search", "check-data", folder], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"2 images read: all are sound" in done.stdout
    assert rb"caf\udce9: " in done.stdout

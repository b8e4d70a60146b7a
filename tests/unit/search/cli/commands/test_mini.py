import resource
import subprocess
import sys
from pathlib import Path


def _no_room() -> None:
    # Much like a full disk: it takes a part of the first image.
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))


def test_a_disk_that_takes_no_more_is_no_bad_input_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "search", "mini", "--format", "roxford5k", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=_no_room, check=False)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path / 'out'} cannot be written (File too large); nothing of it is left\n"
    assert list(tmp_path.iterdir()) == []

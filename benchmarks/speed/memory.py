"""Peak memory of a call, torch's and numpy's alike, as Linux counts it."""

import ctypes
from collections.abc import Callable
from pathlib import Path


def peak_extra_mib(call: Callable[[], object]) -> float:
    """Highest resident memory during the call above what was resident before it, in MiB.

    The call should have run before, so that what is loaded once is not counted.
    """
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # or the call would find its memory in what an earlier one gave back
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    call()
    return max(0, _status("VmHWM") - before) / 1024


def _status(key: str) -> int:
    """A figure of this process in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))

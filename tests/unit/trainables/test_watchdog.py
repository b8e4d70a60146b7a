import signal
import subprocess
import sys
import time

import pytest

from trainables.watchdog import hangs, watched

BODY = """
import ctypes, os, signal, sys, time
from pathlib import Path
from trainables.watchdog import watched

def hang():
    {hang}

with watched(Path(sys.argv[1]), {timeout_s}):
    hang()
"""


def ended(trace, hang: str, timeout_s: float = 0.3) -> int:
    """The exit status of a process that hangs while it is watched; it would go on for a minute."""
    program = BODY.format(hang=hang, timeout_s=timeout_s)
    return subprocess.run([sys.executable, "-c", program, str(trace)], timeout=30, check=False).returncode


@pytest.mark.parametrize(
    "hang", ["time.sleep(60)", "ctypes.PyDLL(None).sleep(60)"], ids=["asleep", "in C, holding the interpreter's lock"]
)
def test_what_takes_too_long_is_ended_and_says_where_it_hung(tmp_path, hang):
    assert ended(tmp_path / "trace", hang) == 1
    assert hangs(tmp_path / "trace") == ["a step took longer than 0.3 s: it hung in hang, <string>:7"]


def test_the_thread_that_was_watched_is_the_one_that_is_named(tmp_path):
    other = "import threading; threading.Thread(target=lambda: time.sleep(60)).start(); time.sleep(60)"
    assert ended(tmp_path / "trace", other) == 1
    assert hangs(tmp_path / "trace") == ["a step took longer than 0.3 s: it hung in hang, <string>:7"]
    assert "in <lambda>" in (tmp_path / "trace").read_text()


def test_each_hang_is_kept_and_other_ends_are_none(tmp_path):
    trace = tmp_path / "trace"
    assert ended(trace, "time.sleep(60)") == 1
    assert ended(trace, "os.kill(os.getpid(), signal.SIGKILL)") == -signal.SIGKILL
    assert ended(trace, "time.sleep(60)", timeout_s=0.4) == 1
    assert ended(trace, "pass") == 0
    assert [hang.partition(":")[0] for hang in hangs(trace)] == [
        "a step took longer than 0.3 s",
        "a step took longer than 0.4 s",
    ]


def test_bodies_that_end_in_time_leave_no_trace_however_many_they_are(tmp_path):
    trace = tmp_path / "trace"
    for _ in range(3):
        with watched(trace, 0.3):
            time.sleep(0.15)
    time.sleep(0.4)  # between two bodies nothing is watched
    assert not trace.exists()
    assert hangs(trace) == []


def test_an_error_in_the_body_ends_the_watch(tmp_path):
    trace = tmp_path / "trace"
    with pytest.raises(RuntimeError, match="diverged"), watched(trace, 0.2):
        raise RuntimeError("diverged")
    time.sleep(0.3)
    assert hangs(trace) == []


def test_without_a_timeout_nothing_is_watched_or_written(tmp_path):
    with watched(tmp_path / "no folder" / "trace", None):
        time.sleep(0.01)
    assert not (tmp_path / "no folder").exists()

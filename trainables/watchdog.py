"""A time limit for steps that hang: the process is ended, and a file says where it hung."""

import faulthandler
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Written before each watch; its thread is what faulthandler calls it in the trace that may follow.
_HEADER = "watched for {seconds:g} s in thread {thread:#018x}\n"
_HEADER_PATTERN = re.compile(r"^watched for (?P<seconds>\S+) s in thread (?P<thread>0x[0-9a-f]+)\n", re.MULTILINE)
_FRAME = re.compile(r'File "(?P<file>[^"]*)", line (?P<line>\d+) in (?P<function>\S+)')


@contextmanager
def watched(trace: Path, timeout_s: float | None) -> Iterator[None]:
    """End this process with exit status 1 when the body takes longer than a time limit.

    The stack of every thread is then appended to `trace`; a body that ends in time leaves nothing there. The limit is
    enforced by a thread that runs no Python, so also while C code holds the interpreter's lock. A process can have one
    such watch at a time.

    Args:
        trace: a file in an existing folder.
        timeout_s: None sets no limit.
    """
    if timeout_s is None:
        yield
        return
    with trace.open("a") as file:
        start = file.tell()
        file.write(_HEADER.format(seconds=timeout_s, thread=threading.get_ident()))
        file.flush()
        faulthandler.dump_traceback_later(timeout_s, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            file.truncate(start)
    if start == 0:
        trace.unlink(missing_ok=True)


def hangs(trace: Path) -> list[str]:
    """Return a line for every process that its watch ended, oldest first: the time limit, and where it hung."""
    if not trace.is_file():
        return []
    # After the text before the first header come the seconds, the thread and the trace of every watch.
    _, *parts = _HEADER_PATTERN.split(trace.read_text(errors="replace"))
    watches = zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
    # A process that was killed while it was watched leaves a header without a trace.
    return [_describe(seconds, thread, stack) for seconds, thread, stack in watches if "Timeout (" in stack]


def _describe(seconds: str, thread: str, stack: str) -> str:
    took = f"a step took longer than {seconds} s"
    frame = _FRAME.search(stack.partition(f"Thread {thread} ")[2])
    return f"{took}: it hung in {frame['function']}, {frame['file']}:{frame['line']}" if frame else took

"""The results of Ray's tasks, and their errors: in one line, with the trace of the worker in a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError, TaskCancelledError, WorkerCrashedError

from retrieval.images import UnreadableImagesError
from search.errors import GO_ON, BadInputError, FailedError, is_of_input, write_trace


def result_of(task: Any, what: str, folder: Path | None = None) -> Any:
    """Return the result of a task.

    Args:
        task: a reference of Ray's.
        what: the task does, as "scoring the dense network".
        folder: where the trace goes, see `search.errors.write_trace`.

    Raises:
        BadInputError: the task raised an error that says that the input is wrong.
        FailedError: it raised another, or its worker was lost.
    """
    with task_errors_in_one_line(what, folder):
        return ray.get(task)


@contextmanager
def task_errors_in_one_line(what: str, folder: Path | None = None) -> Iterator[None]:
    """Turn Ray's errors of the code inside, which waits for tasks, as `result_of` does."""
    try:
        yield
    except RayError as error:
        # Ray's own message is the whole trace of the worker.
        cause = error.cause if isinstance(error, RayTaskError) else error
        line = f"{what} failed: {_reason(cause)} (the trace is in {write_trace(error, folder)})"
        # Images were all read before: that one cannot be read now is the node's fault, or its mount's.
        is_input = is_of_input(cause) and not isinstance(cause, UnreadableImagesError)
        raise (BadInputError if is_input else FailedError)(line) from None


def _reason(cause: BaseException) -> str:
    if isinstance(cause, OutOfMemoryError):
        return f"the machine ran out of memory: fewer trials at once, or smaller batches or images; {GO_ON}"
    if isinstance(cause, WorkerCrashedError | TaskCancelledError):
        return f"its process was ended, by a lack of memory or from outside; {GO_ON}"
    reason = " ".join(str(cause).split())
    return reason if is_of_input(cause) and reason else f"{type(cause).__name__}: {reason}".removesuffix(": ")

"""The two errors that end a command, each one line with exit code 2 or 1, and the file of an error's trace."""

import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

GO_ON = "the same command goes on"

# Errors that a wrong path causes. Any other OSError, as of a full disk, is the machine's fault.
_WRONG_PATHS = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)


class BadInputError(Exception):
    """Bad input, exit code 2; the message says what is wrong, where, and what would be right."""


class FailedError(Exception):
    """A failure that is not the input's fault, exit code 1; the message says why."""


@contextmanager
def input_is_checked() -> Iterator[None]:
    """Turn errors of the code inside, which checks a user's input, into `BadInputError`.

    Raises:
        BadInputError: for every ValueError, and for the OSErrors that a wrong path causes.
    """
    try:
        yield
    except (ValueError, *_WRONG_PATHS) as error:
        raise BadInputError(" ".join(str(error).split())) from error


def is_of_input(error: BaseException) -> bool:
    """Return whether an error says that what the user gave is wrong; any other is a failure."""
    return isinstance(error, (ValueError, *_WRONG_PATHS))


def ended_by(error: BaseException, what: str, folder: Path | None = None) -> BadInputError | FailedError:
    """Return the error that ends a command because of an unforeseen one: one line, which names the file of the trace.

    Args:
        error: the cause.
        what: was being done, as "training the dense network"; "" where that is not known.
        folder: see `write_trace`.
    """
    reason = " ".join(str(error).split())
    # The message of a KeyError or an AssertionError alone says nothing.
    reason = reason if is_of_input(error) and reason else f"{type(error).__name__}: {reason}".removesuffix(": ")
    line = f"{what}: {reason}" if what else reason
    line += f" (the trace is in {write_trace(error, folder)})"
    return BadInputError(line) if is_of_input(error) else FailedError(line)


@contextmanager
def failures_are_traced(what: str, folder: Path | None = None) -> Iterator[None]:
    """Turn every unforeseen error of the code inside into one line, its trace in a file; see `ended_by`.

    Raises:
        BadInputError: the error says that the input is wrong.
        FailedError: for any other.
    """
    try:
        yield
    except (BadInputError, FailedError):
        raise
    except Exception as error:
        raise ended_by(error, what, folder) from error


def write_trace(error: BaseException, folder: Path | None = None) -> Path:
    """Write an error with its trace to a new file, and return the file.

    Args:
        error: with what it was raised from.
        folder: the sweep's or the baselines', in which a folder `traces` is made; where it is None, does not exist yet
            or takes no file, the file lies with the machine's temporary ones.
    """
    text = "".join(traceback.format_exception(error))
    name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{type(error).__name__}_"
    if folder is not None and folder.is_dir():
        with suppress(OSError):  # a full disk is what many errors are about
            (folder / "traces").mkdir(exist_ok=True)
            return _written(text, name, folder / "traces")
    return _written(text, f"prunefront_{name}", None)


def _written(text: str, prefix: str, folder: Path | None) -> Path:
    with tempfile.NamedTemporaryFile("w", prefix=prefix, suffix=".txt", dir=folder, delete=False) as file:
        file.write(text)
    return Path(file.name)

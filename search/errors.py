"""The two errors that end a command: each is one line, with exit code 2 or 1."""

from collections.abc import Iterator
from contextlib import contextmanager

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

"""How a command ends when it does not succeed: one clear line, and exit code 2 or 1."""

from collections.abc import Iterator
from contextlib import contextmanager

GO_ON = "the same command goes on"

# What a wrong path gives. Any other OSError, as of a full disk, is the machine's fault.
_WRONG_PATHS = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)


class BadInputError(Exception):
    """Exit code 2: what was asked cannot be done as asked; the message says what, where, and what would be right."""


class FailedError(Exception):
    """Exit code 1: it was tried and did not come out; the message says why."""


@contextmanager
def input_is_checked() -> Iterator[None]:
    """Around code that reads what a person gave: an error there is theirs to mend, not a fault of ours."""
    try:
        yield
    except (ValueError, *_WRONG_PATHS) as error:
        raise BadInputError(" ".join(str(error).split())) from error

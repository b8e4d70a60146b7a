"""What the tests of a trial's files share."""

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

_FITS_BYTES = 4096


@pytest.fixture
def full_disk() -> Callable[[], AbstractContextManager[None]]:
    """For this process, while it lasts, a disk on which only small files fit."""

    @contextmanager
    def full() -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (_FITS_BYTES, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return full

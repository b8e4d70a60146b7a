"""Which image files are the same picture: one file under two names, a link to it, or a copy with the same bytes."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.datasets.base import Indices

_END_BYTES = 4096
"""What is read at each end of a file at first: an encoder's tables fill at most the head, and pictures differ in the
tail."""


@dataclass(frozen=True)
class ImageContents:
    """The content of image files as numbers: files of equal bytes have equal numbers.

    Attributes:
        number_of: the number of each path, as text; files that are not there have none.
    """

    number_of: Mapping[str, int]

    @classmethod
    def of(cls, paths: Iterable[Path], *, threads: int = 1) -> "ImageContents":
        """Compare files by what they are on disk, then by size, then by the bytes at both ends, then by all bytes.

        So of most files nothing is read: only those of equal size are opened.

        Args:
            paths: the files; those that are not there are left out.
            threads: threads that read files.
        """
        file_of = {str(path): status for path in paths if (status := _stat(path)) is not None}
        with ThreadPoolExecutor(threads) as pool:
            # One path stands for all links to a file.
            representative = {(status.st_dev, status.st_ino): path for path, status in file_of.items()}
            groups: list[list[str]] = list(_by(representative.values(), lambda path: file_of[path].st_size))
            for digest in (_digest_of_ends, _digest):
                groups = [part for group in groups for part in _split(group, digest, pool)]
        number_of_file = {path: number for number, group in enumerate(groups) for path in group}
        return cls(
            {path: number_of_file[representative[status.st_dev, status.st_ino]] for path, status in file_of.items()}
        )

    def numbers(self, paths: Iterable[Path]) -> Indices:
        """Return the number of each path, −1 for a file that was not there."""
        return np.array([self.number_of.get(str(path), -1) for path in paths], dtype=np.int64)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _by(paths: Iterable[str], key: Callable[[str], Hashable]) -> Iterator[list[str]]:
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for path in paths:
        groups[key(path)].append(path)
    yield from groups.values()


def _split(group: list[str], digest: Callable[[str], bytes], pool: ThreadPoolExecutor) -> Iterator[list[str]]:
    """Yield the files of a group by their digest; a file alone is not read."""
    if len(group) == 1:
        yield group
        return
    digests = dict(zip(group, pool.map(digest, group), strict=True))
    yield from _by(group, digests.__getitem__)


def _digest_of_ends(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            head = file.read(_END_BYTES)
            file.seek(max(0, os.fstat(file.fileno()).st_size - _END_BYTES))
            return hashlib.sha256(head + file.read(_END_BYTES)).digest()
    except OSError:
        return os.fsencode(path)  # like no other file; whoever decodes it says why it cannot be read


def _digest(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return os.fsencode(path)

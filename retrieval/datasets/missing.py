"""The error for images that a ground truth names and that are not there, with all of their paths."""

from collections.abc import Sequence
from pathlib import Path


class MissingImagesError(ValueError):
    """An error of a loader whose images are not all there; its message, one line, names the first few.

    Attributes:
        paths: every image that is missing.
        there: the other images of the set.
    """

    def __init__(self, message: str, paths: Sequence[Path], there: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self.there = there
        super().__init__(message)

    def __reduce__(self) -> tuple[type["MissingImagesError"], tuple[str, tuple[Path, ...], Sequence[Path]]]:
        # An exception is pickled with its message for an argument, and this one crosses process borders.
        return type(self), (str(self), self.paths, self.there)

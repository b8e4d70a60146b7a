"""Images that a ground truth names and that are not there: all of them, for those who would fetch them."""

from collections.abc import Sequence
from pathlib import Path


class MissingImagesError(ValueError):
    """A loader's refusal, in one line that names the first few.

    `paths` holds every image that is missing, `there` the others of the set.
    """

    def __init__(self, message: str, paths: Sequence[Path], there: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self.there = there
        super().__init__(message)

    def __reduce__(self) -> tuple[type["MissingImagesError"], tuple[str, tuple[Path, ...], Sequence[Path]]]:
        # An exception is pickled with its message for an argument, and this one crosses process borders.
        return type(self), (str(self), self.paths, self.there)

"""The data sets of a sweep, opened once a process."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from retrieval.datasets.base import RetrievalSet, TrainingSet, fingerprint
from retrieval.datasets.folders import load_folder_per_class
from retrieval.datasets.oxford import load_oxford
from retrieval.images import ImageReader, UnreadableImagesError, read_image
from trainables.settings import DataSettings


@dataclass(frozen=True)
class SweepData:
    """Training places, the queries that the search sees (`select_on`), those it does not (`report_on`)."""

    train: TrainingSet
    select_on: RetrievalSet
    report_on: RetrievalSet
    reader: ImageReader

    @property
    def images(self) -> tuple[Path, ...]:
        """All image files, of all three."""
        return (*self.train.images, *self.select_on.images, *self.report_on.images)

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change with the images (names and bytes), the queries or their ground truth."""
        digest = hashlib.sha256(fingerprint(self.images).encode())
        for query in (*self.select_on.queries, *self.report_on.queries):
            digest.update(f"{query.name} {query.box}".encode())
            digest.update(query.positives.tobytes() + b"|" + query.junk.tobytes())
        return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def open_data(settings: DataSettings) -> SweepData:
    """Read the lists of images; the images themselves are read when they are needed, and kept while they fit.

    Raises:
        ValueError: a folder is missing, or its ground truth does not fit its images.
    """
    if not settings.root.is_dir():
        raise ValueError(f"data folder {settings.root} does not exist (`python -m search mini --out DIR` writes one)")
    return SweepData(
        train=load_folder_per_class(settings.root / settings.train),
        select_on=load_oxford(settings.root / settings.select_on, name=settings.select_on),
        report_on=load_oxford(settings.root / settings.report_on, name=settings.report_on),
        reader=ImageReader(settings.image_size),
    )


def check_images(images: Sequence[Path], progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Decode every image once, so that a damaged one ends a sweep before it has begun; returns their number.

    Raises:
        UnreadableImagesError: names and counts every unreadable image.
    """
    unreadable: list[Path] = []
    for done, path in enumerate(images, start=1):
        try:
            read_image(path, max_size=None)
        except UnreadableImagesError as error:
            unreadable.extend(error.paths)
        progress(done, len(images))
    if unreadable:
        raise UnreadableImagesError(unreadable)
    return len(images)

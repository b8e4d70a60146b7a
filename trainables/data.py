"""The data sets of a sweep, which each process opens once."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import get_args

import numpy as np

from retrieval.boxes import check_boxes
from retrieval.datasets.base import ExifOrientation, RetrievalSet, TrainingSet, fingerprint
from retrieval.datasets.checks.find_sets import OpenedSet, open_source
from retrieval.datasets.checks.finding import Finding
from retrieval.datasets.checks.ground_truth import judge_ground_truth, judge_training
from retrieval.datasets.checks.image_contents import ImageContents
from retrieval.datasets.checks.leaks import find_selection_leaks, find_training_leaks
from retrieval.datasets.registry import open_retrieval, open_training
from retrieval.image_headers import reading_digest
from retrieval.images import ImageReader, read_image
from retrieval.training.loop import Batches
from retrieval.unreadable_images import UnreadableImagesError
from trainables.settings import DataSettings, FinetuneSettings, TrainingSettings
from trainables.threads import available_threads

_HANDED_OUT = 64  # images that the pool is given at a time


@dataclass(frozen=True)
class SweepData:
    """The data sets of one sweep.

    Attributes:
        train: training images.
        select_on: queries and gallery that the search sees: the validation split.
        report_on: queries and gallery that only the finished front is scored on: the test split.
        readers: read images at the size that networks are scored at, by how they treat EXIF orientations.
        training_reader: reads training images at the size that networks are trained at.
    """

    train: TrainingSet
    select_on: RetrievalSet
    report_on: RetrievalSet
    readers: Mapping[ExifOrientation, ImageReader]
    training_reader: ImageReader

    def reader_of(self, images: TrainingSet | RetrievalSet) -> ImageReader:
        """Return what reads the images of a set as it wants them, at the size that networks are scored at."""
        return self.readers[images.exif_orientation]

    @property
    def images(self) -> tuple[Path, ...]:
        """The image files of all three sets, each once."""
        sets = (self.select_on, self.report_on)
        queries = (query.path for each in sets for query in each.queries)
        return tuple(dict.fromkeys(chain(self.train.images, *(each.images for each in sets), queries)))

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change with the images (names, bytes, how they are read) and with the ground truth.

        The ground truth is that of the queries, and the classes, pairs and coordinates of the training images.
        """
        digest = hashlib.sha256(fingerprint(self.images).encode())
        digest.update(training_fingerprint(self.train).encode())
        for each in (self.select_on, self.report_on):
            digest.update((set_reading_digest(each) or "").encode())
        for query in (*self.select_on.queries, *self.report_on.queries):
            # Names on disk are bytes, and may be no valid text.
            digest.update(f"{query.name} {query.box}".encode(errors="surrogateescape"))
            digest.update(b"|".join(answers.tobytes() for answers in (query.positives, query.junk, query.hard)))
        return digest.hexdigest()[:16]


def plain_batches(data: SweepData, settings: TrainingSettings | FinetuneSettings, steps: int | None = None) -> Batches:
    """Return random batches of the training images.

    Args:
        data: of the sweep.
        settings: say the batch size, the seed and, unless `steps` does, the steps of an epoch.
        steps: of an epoch.
    """
    steps = settings.steps_per_epoch if steps is None else steps
    return Batches(data.train, data.training_reader, settings.batch_size, settings.seed, steps)


@lru_cache(maxsize=3)  # the sets of a sweep: trials ask again, and headers of many images take seconds
def set_reading_digest(images: TrainingSet | RetrievalSet) -> str | None:
    """Return the `reading_digest` of a set's images and queries."""
    queries = images.queries if isinstance(images, RetrievalSet) else ()
    return reading_digest((*images.images, *(query.path for query in queries)), images.exif_orientation)


def training_fingerprint(train: TrainingSet) -> str:
    """Return a digest of the training images, their order, how they are read, and their classes, pairs, coordinates."""
    names = [str(path) for path in train.images]
    digest = hashlib.sha256(fingerprint(train.images).encode())
    digest.update((set_reading_digest(train) or "").encode())
    digest.update(repr((train.classes, train.negative_metres)).encode())
    for known in (np.argsort(names, kind="stable"), train.labels, train.pairs_P2, train.coordinates_N2):
        digest.update(b"|" if known is None else b"|" + known.tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def open_data(settings: DataSettings) -> SweepData:
    """Read the lists of images; the images themselves are read when they are needed, and cached while they fit.

    Raises:
        ValueError: a folder is missing, its ground truth does not fit its images, or boxes of queries do not.
    """
    if not settings.root.is_dir():
        raise ValueError(f"data folder {settings.root} does not exist (`python -m search mini --out DIR` writes one)")
    train = open_training(settings.root, settings.train, settings.exif_orientation)
    select_on, report_on = (
        open_retrieval(settings.root, source, settings.exif_orientation)
        for source in (settings.select_on, settings.report_on)
    )
    for each in (select_on, report_on):
        check_boxes(each)
    readers: dict[ExifOrientation, ImageReader] = {
        each: ImageReader(settings.image_size, exif_orientation=each) for each in get_args(ExifOrientation)
    }
    training_size = settings.training_size or settings.image_size
    return SweepData(
        train=train,
        select_on=select_on,
        report_on=report_on,
        readers=readers,
        training_reader=readers[train.exif_orientation]
        if training_size == settings.image_size
        else ImageReader(training_size, exif_orientation=train.exif_orientation),
    )


def open_sources(settings: DataSettings) -> list[OpenedSet]:
    """Open the three sets of a sweep one by one, to check them: what one refuses does not hide the others.

    Args:
        settings: of the sweep.
    """
    sources = (
        ("train", "train", settings.train),
        ("select_on", "val", settings.select_on),
        ("report_on", "test", settings.report_on),
    )
    return [open_source(settings.root, key, role, source, settings.exif_orientation) for key, role, source in sources]


def judge_data(data: SweepData) -> list[Finding]:
    """Return what keeps the data sets of a sweep from telling networks apart, and what they share.

    Args:
        data: of the sweep.
    """
    contents = ImageContents.of(data.images, threads=available_threads())
    ranked = (data.select_on, data.report_on)
    return [
        *judge_training("train", data.train, contents),
        *chain.from_iterable(judge_ground_truth(each, contents) for each in ranked),
        *chain.from_iterable(find_training_leaks(data.train, each, contents) for each in ranked),
        *find_selection_leaks(data.select_on, data.report_on, contents),
    ]


def check_images(images: Sequence[Path], progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Decode every image once, so that a damaged one ends a sweep before it has begun.

    Args:
        images: to read.
        progress: called with the number of images done, and of all.

    Returns:
        The number of images.

    Raises:
        UnreadableImagesError: names and counts every unreadable image.
    """
    unreadable: dict[Path, str] = {}
    with ThreadPoolExecutor(available_threads()) as pool:
        # Some at a time: images that the pool has been given are read to the end even after Ctrl-C.
        for start in range(0, len(images), _HANDED_OUT):
            chunk = images[start : start + _HANDED_OUT]
            for done, failed in enumerate(pool.map(_unreadable, chunk), start=start + 1):
                unreadable.update(failed)
                progress(done, len(images))
    if unreadable:
        raise UnreadableImagesError(unreadable)
    return len(images)


def _unreadable(path: Path) -> dict[Path, str]:
    try:
        read_image(path, size=None)
    except UnreadableImagesError as error:
        return error.reasons
    return {}

"""Reading images into batches while the network is busy with the batch before. Letters: N images, C H W."""

from collections import defaultdict, deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from retrieval.datasets.base import Box
from retrieval.images import ImageReader, normalise
from retrieval.unreadable_images import UnreadableImagesError

Item = tuple[Path, Box | None]
"""An image, and the box to crop; None takes all of it."""

_HELD_BATCHES = 4  # as many batches' images wait for others of their size at most


@dataclass(frozen=True, eq=False)
class Batch:
    """Images of one size.

    Attributes:
        positions: index of each image in the list that was read.
        images_NCHW: normalised.
    """

    positions: list[int]
    images_NCHW: Tensor


def read_batches(images: Sequence[Item], reader: ImageReader, *, batch_size: int) -> Generator[Batch]:
    """Yield all images in batches of one size each; none is resized or padded to fit.

    Files are read ahead, by one thread more than torch uses, and the next batch is made while the last is in use. Of
    sizes too rare to fill a batch the most frequent goes out incomplete once four batches' images wait, so memory does
    not grow with the number of images. Which images share a batch depends on their order and sizes alone. Where CUDA
    is in use the batches lie in pinned memory.

    Close it (`contextlib.closing`) when it is left before its end: its threads would go on.

    Raises:
        UnreadableImagesError: names every image that could not be read, after all were tried.
    """
    batches = _batches(images, reader, batch_size)
    with ThreadPoolExecutor(1) as pool:
        try:
            coming: Future[Batch | None] = pool.submit(next, batches, None)
            while (batch := coming.result()) is not None:
                coming = pool.submit(next, batches, None)
                yield batch
        finally:
            pool.submit(batches.close)  # in its own thread: it may be running there


def _batches(images: Sequence[Item], reader: ImageReader, batch_size: int) -> Generator[Batch]:
    waiting: dict[torch.Size, list[tuple[int, Tensor]]] = defaultdict(list)
    held = 0
    unreadable: dict[Path, str] = {}
    for position, image in enumerate(_read_in_order(images, reader, ahead=batch_size)):
        if isinstance(image, UnreadableImagesError):
            unreadable.update(image.reasons)
        if isinstance(image, UnreadableImagesError) or unreadable:
            continue  # nothing will come of the batches, but every bad file shall be named
        waiting[image.shape].append((position, image))
        held += 1
        if len(waiting[image.shape]) == batch_size or held == _HELD_BATCHES * batch_size:
            largest = max(waiting, key=lambda shape: len(waiting[shape]))
            held -= len(waiting[largest])
            yield _batch(waiting.pop(largest))
    if unreadable:
        raise UnreadableImagesError(unreadable)
    while waiting:
        yield _batch(waiting.pop(next(iter(waiting))))


def _read_in_order(
    images: Sequence[Item], reader: ImageReader, ahead: int
) -> Generator[Tensor | UnreadableImagesError]:
    # One more than torch has: until the first batch is there its threads are idle, and later some wait for the disk.
    pool = ThreadPoolExecutor(torch.get_num_threads() + 1)
    reading: deque[Future[Tensor | UnreadableImagesError]] = deque()
    try:
        for path, box in images:
            reading.append(pool.submit(_read, reader, path, box))
            if len(reading) > ahead:
                yield reading.popleft().result()
        while reading:
            yield reading.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read(reader: ImageReader, path: Path, box: Box | None) -> Tensor | UnreadableImagesError:
    try:
        return reader.read(path, box=box)
    except UnreadableImagesError as error:
        return error


def _batch(group: list[tuple[int, Tensor]]) -> Batch:
    images_NCHW = normalise(torch.stack([image_CHW for _, image_CHW in group]))
    # Only where the network already lies on a GPU: asking for pinned memory would start CUDA in every process.
    if torch.cuda.is_initialized():
        images_NCHW = images_NCHW.pin_memory()
    return Batch([position for position, _ in group], images_NCHW)

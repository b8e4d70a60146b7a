"""Descriptors of many images. Letters: N images, C H W, D descriptor size."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.datasets.base import Box
from retrieval.images import ImageReader, UnreadableImagesError, normalise

# What turns a batch of images N×3×H×W into descriptors N×D: a torch network, or a session of ONNX Runtime.
Describe = Callable[[Tensor], np.ndarray]


def describe_with(network: nn.Module, device: torch.device) -> Describe:
    """The network in eval mode as a function from images to descriptors in numpy."""
    network.eval()

    @torch.inference_mode()
    def describe(images_NCHW: Tensor) -> np.ndarray:
        return network(images_NCHW.to(device)).float().cpu().numpy()

    return describe


def extract(
    describe: Describe,
    images: Sequence[tuple[Path, Box | None]],
    reader: ImageReader,
    *,
    batch_size: int = 64,
) -> np.ndarray:
    """Descriptors N×D, float32, in the order of `images` (path, and the box to crop or None).

    Images of equal size share a batch; none is resized or padded to fit one.

    Raises:
        UnreadableImagesError: names every image that could not be read, after all were tried.
    """
    waiting: dict[tuple[int, ...], list[tuple[int, Tensor]]] = defaultdict(list)
    rows: dict[int, np.ndarray] = {}
    unreadable: list[Path] = []

    def flush(batch: list[tuple[int, Tensor]]) -> None:
        described_ND = describe(normalise(torch.stack([image for _, image in batch])))
        rows.update(zip((position for position, _ in batch), described_ND, strict=True))
        batch.clear()

    for position, (path, box) in enumerate(images):
        try:
            image_CHW = reader.read(path, box=box)
        except UnreadableImagesError as error:
            unreadable.extend(error.paths)
            continue
        batch = waiting[tuple(image_CHW.shape)]
        batch.append((position, image_CHW))
        if len(batch) == batch_size:
            flush(batch)
    if unreadable:
        raise UnreadableImagesError(unreadable)
    for batch in waiting.values():
        if batch:
            flush(batch)
    return np.stack([rows[position] for position in range(len(images))])

"""Descriptors of many images. Letters: N images, C H W, D descriptor size."""

from collections.abc import Callable, Sequence
from contextlib import closing

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.descriptors.prefetch import Item, read_batches
from retrieval.images import ImageReader

Describe = Callable[[Tensor], np.ndarray]
"""A function from a batch of images N×3×H×W to descriptors N×D: a torch network, or a session of ONNX Runtime."""

Progress = Callable[[int, int], None]
"""A function that is called with the number of images that are done, and of how many."""


def describe_with(network: nn.Module, device: torch.device, *, autocast: bool = False) -> Describe:
    """Return the network in eval mode as a function from images to descriptors in numpy, float32.

    Args:
        network: images to descriptors; already on `device`.
        device: that images are moved to.
        autocast: compute in half precision where torch holds that safe: bfloat16, or float16 on a GPU without it.
    """
    network.eval()
    half = torch.float16 if device.type == "cuda" and not torch.cuda.is_bf16_supported() else torch.bfloat16

    @torch.inference_mode()
    def describe(images_NCHW: Tensor) -> np.ndarray:
        with torch.autocast(device.type, dtype=half, enabled=autocast):
            descriptors_ND = network(images_NCHW.to(device, non_blocking=True))
        return descriptors_ND.float().cpu().numpy()

    return describe


def extract(
    describe: Describe,
    images: Sequence[Item],
    reader: ImageReader,
    *,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> np.ndarray:
    """Describe images; return N×D, float32, in their order.

    Images of equal size share a batch, and the next batch is read while one is described: see `read_batches`.

    Args:
        describe: images to descriptors.
        images: path, and the box to crop or None.
        reader: how images are read.
        batch_size: images described at once.
        progress: told of the images that are done, and of how many.

    Raises:
        UnreadableImagesError: names every image that could not be read, after all were tried.
        ValueError: no images.
    """
    if not images:
        raise ValueError("no images to describe; at least one is needed")
    described_ND: np.ndarray | None = None
    done = 0
    with closing(read_batches(images, reader, batch_size=batch_size)) as batches:
        for batch in batches:
            part_ND = describe(batch.images_NCHW)
            if described_ND is None:
                described_ND = np.empty((len(images), part_ND.shape[1]), dtype=np.float32)
            described_ND[batch.positions] = part_ND
            done += len(part_ND)
            if progress is not None:
                progress(done, len(images))
    assert described_ND is not None
    return described_ND

"""Descriptors kept on disk in parts, so that an interrupted extraction continues where it stopped.

A folder holds ``part-00000-float32.arrow``, ``part-00001-float32.arrow``, …, each with the descriptors of as many
images that follow each other in a list (see `retrieval.descriptors.files`). Its name is a hash of all that the
descriptors depend on; their precision is part of each file's name, so that both can be kept beside each other.
Letters: N images, D descriptor size.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import JsonValue
from torch import nn

from retrieval.descriptors.extract import Describe, Progress, extract
from retrieval.descriptors.files import map_arrow, write_arrow
from retrieval.descriptors.prefetch import Item
from retrieval.images import ImageReader
from retrieval.text import name_to_text
from retrieval.unreadable_images import UnreadableImagesError

log = logging.getLogger(__name__)

Kind = Literal["float32", "float16"]

PART_SIZE = 2048  # images: on one slow core two minutes' work, which is what a killed extraction loses at most


@dataclass(frozen=True)
class DescriptorStore:
    """A folder of descriptors in parts.

    Attributes:
        folder: of the parts.
        names: of the images, in order.
        kind: of the numbers on disk.
        part_size: images in a part.
    """

    folder: Path
    names: tuple[str, ...]
    kind: Kind = "float32"
    part_size: int = PART_SIZE

    def spans(self) -> list[slice]:
        """Return the images that each part holds, as slices."""
        starts = range(0, len(self.names), self.part_size)
        return [slice(start, min(start + self.part_size, len(self.names))) for start in starts]

    def part(self, index: int) -> np.ndarray | None:
        """Return a read-only N_i×D view of a part's file; None when it is missing, damaged or of other images."""
        path = self._path(index)
        if not path.exists():
            return None
        try:
            stored = map_arrow(path)
        except ValueError as error:
            log.warning("%s; it will be made again", error)
            return None
        if tuple(stored.names) != self.names[self.spans()[index]] or stored.descriptors_ND.dtype != self.kind:
            log.warning("%s holds other images, or not %s; it will be made again", path, self.kind)
            return None
        return stored.descriptors_ND

    def write(self, index: int, descriptors_ND: np.ndarray, provenance: Mapping[str, str]) -> None:
        """Write one part, whole or not at all; OSError when that cannot be."""
        names = self.names[self.spans()[index]]
        write_arrow(self._path(index), names, descriptors_ND.astype(self.kind, copy=False), provenance)

    def parts(self) -> list[np.ndarray]:
        """Return all parts in order, N_i×D each: read-only views of their files.

        Raises:
            ValueError: a part is missing.
        """
        parts = []
        for index in range(len(self.spans())):
            part_ND = self.part(index)
            if part_ND is None:
                raise ValueError(f"{self._path(index)} is missing or damaged; `extract_stored` makes it")
            parts.append(part_ND)
        return parts

    def _path(self, index: int) -> Path:
        return self.folder / f"part-{index:05d}-{self.kind}.arrow"


def extract_stored(
    describe: Describe,
    images: Sequence[Item],
    reader: ImageReader,
    folder: Path,
    *,
    kind: Kind = "float32",
    provenance: Mapping[str, str] | None = None,
    batch_size: int = 64,
    part_size: int = PART_SIZE,
    progress: Progress | None = None,
) -> list[np.ndarray]:
    """Extract descriptors as `retrieval.descriptors.extract.extract` does, but keep them, and skip parts that are kept.

    Args:
        describe: images to descriptors.
        images: path, and the box to crop or None.
        reader: how images are read.
        folder: of this extraction alone; `store_key` makes its name.
        kind: of the numbers on disk.
        provenance: written into every part's metadata.
        batch_size: images described at once.
        part_size: images in a part; a part is lost when the extraction is killed in its middle.
        progress: told of the images that are done, and of how many.

    Returns:
        All parts in order, N_i×D each: read-only views of their files.

    Raises:
        UnreadableImagesError: names every image that could not be read; what could is kept, except in parts with such.
    """
    if not images:
        raise ValueError("no images to describe; at least one is needed")
    store = DescriptorStore(folder, tuple(image_names(images)), kind, part_size)
    unreadable: dict[Path, str] = {}
    for index, span in enumerate(store.spans()):
        if store.part(index) is None:
            counted = _from(span.start, len(images), progress)
            try:
                part_ND = extract(describe, images[span], reader, batch_size=batch_size, progress=counted)
            except UnreadableImagesError as error:
                unreadable.update(error.reasons)
                continue
            store.write(index, part_ND, provenance or {})
        elif progress is not None:
            progress(span.stop, len(images))
    if unreadable:
        raise UnreadableImagesError(unreadable)
    return store.parts()


def store_key(weights: str, data: str, settings: Mapping[str, JsonValue]) -> str:
    """Return sixteen hex digits that name a store's folder, from `weights_digest`, `data_digest` and settings.

    Args:
        weights: from `weights_digest`.
        data: from `data_digest`.
        settings: size of images, scales, and whatever else changes descriptors but neither weights nor files.
    """
    text = json.dumps([weights, data, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def weights_digest(network: nn.Module) -> str:
    """Return sixteen hex digits that change with the layers, as the network prints them, weights and buffers."""
    digest = hashlib.sha256(repr(network).encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def data_digest(images: Sequence[Item]) -> str:
    """Return sixteen hex digits that change with the images' names, boxes, order and sizes in bytes.

    Contents are not read. A missing file counts as one of no size: the extraction will name it.
    """
    digest = hashlib.sha256()
    for name, (path, _) in zip(image_names(images), images, strict=True):
        try:
            size_bytes = os.stat(path).st_size
        except OSError:
            size_bytes = 0
        digest.update(f"{name}\0{size_bytes}\n".encode())
    return digest.hexdigest()[:16]


def image_names(images: Sequence[Item]) -> list[str]:
    """Return names that stay when the data set is moved: each image's path below the common folder, and its box.

    They are text in UTF-8 (see `retrieval.text.name_to_text`): they are written to files.
    """
    paths = [os.path.abspath(path) for path, _ in images]
    common = os.path.commonpath([os.path.dirname(path) for path in paths])
    skipped = len(common.rstrip(os.sep)) + 1
    return [
        name_to_text(path[skipped:].replace(os.sep, "/")) + ("" if box is None else f"#{','.join(map(str, box))}")
        for path, (_, box) in zip(paths, images, strict=True)
    ]


def _from(start: int, total: int, progress: Progress | None) -> Progress | None:
    """Return a callback that turns progress within a part into progress within the whole."""
    return None if progress is None else lambda done, _: progress(start + done, total)

"""Enlarging databases by images that answer no query: Flickr100k (Oxford105k, Paris106k) and the million of R1M."""

import logging
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import overload

from retrieval.datasets.base import Images, RetrievalSet
from retrieval.datasets.image_files import find_image_folder, list_images
from retrieval.datasets.left_out import UNLISTED, LeftOut
from retrieval.datasets.missing import MissingImagesError
from retrieval.text import name_few

_log = logging.getLogger(__name__)
_MILLION = "revisitop1m.txt"

FLICKR_UNREADABLE = frozenset(
    f"{tag}/{tag}_{number}.jpg"
    for tag, number in (
        ("06", "000443"),
        ("autumn", "000335"),
        ("baby", "001317"),
        ("cat", "001894"),
        ("festival", "001907"),
        ("green", "002662"),
        ("park", "001319"),
        ("portrait", "000801"),
        ("river", "001733"),
        ("school", "001535"),
    )
)
"""The files of Flickr100k that no decoder reads, by the last two parts of their names."""


class Joined(Sequence[Path]):
    """Several sequences of images one after the other, none of them copied."""

    def __init__(self, *parts: Sequence[Path]) -> None:
        self.parts = tuple(parts)
        self._ends = tuple(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Path]: ...
    def __getitem__(self, index: int | slice) -> Path | Sequence[Path]:
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        part = bisect_right(self._ends, at)
        return self.parts[part][at - (self._ends[part - 1] if part else 0)]


def add_distractors(retrieval_set: RetrievalSet, images: Images) -> RetrievalSet:
    """Return the same queries over a larger database: `images` follow its own, so that indices keep their meaning.

    Args:
        retrieval_set: the set to enlarge.
        images: wrong answers to every query.

    Raises:
        ValueError: the set has cameras, coordinates or panoramas, where an image is more than a file.
    """
    if retrieval_set.cameras is not None or retrieval_set.coordinates is not None or retrieval_set.panorama > 1:
        raise ValueError(
            f"{retrieval_set.name}: its images have cameras, coordinates or panoramas, and those of {images.root} "
            "have none; distractors can be added to landmark sets only"
        )
    return replace(
        retrieval_set,
        name=f"{retrieval_set.name}+{images.root.name}",
        images=Joined(retrieval_set.images, images),
        left_out=retrieval_set.left_out + images.left_out,
    )


def find_flickr(path: Path) -> Path | None:
    """Return the folder itself if it has the name of the Flickr100k archive: its tags look like any class folders."""
    named = "flickr100k" in path.name.lower() or path.name == "oxc1_100k"
    return path if named and find_image_folder(path) else None


def find_revisitop(path: Path) -> Path | None:
    """Return `revisitop1m.txt`, the list of a million distractors, if it is there."""
    file = path / _MILLION
    return file if file.is_file() else None


def load_distractors(folder: Path) -> Images:
    """Read the million distractors where their list is there, else the folder as Flickr100k.

    Args:
        folder: where the images lie.

    Raises:
        ValueError: as `load_revisitop1m` and `load_flickr100k`.
    """
    return load_revisitop1m(folder) if find_revisitop(folder) else load_flickr100k(folder)


def load_flickr100k(root: Path) -> Images:
    """Return every image below `root` in the order of its names, as published `<tag>/<tag>_<number>.jpg`.

    The ten files known to be unreadable are left out, and a line of the log says so.

    Args:
        root: the folder.

    Raises:
        ValueError: there is no image.
    """
    listed = list_images(root)
    unreadable = {name for name in listed.names if "/".join(name.rsplit("/", 2)[-2:]) in FLICKR_UNREADABLE}
    names = [name for name in listed.names if name not in unreadable]
    if not names:
        raise ValueError(f"{root} is missing or holds no image; it must hold <tag>/<tag>_<number>.jpg")
    if unreadable:
        _log.info("%s: files known to be unreadable, left out: %d", root, len(unreadable))
    return Images(root, names, listed.left_out + LeftOut.of("known to be unreadable", sorted(unreadable)))


def load_revisitop1m(root: Path) -> Images:
    """Return the images of `revisitop1m.txt`, one name a line, below `jpg/`, in the order of the list.

    From Radenović et al., CVPR 2018 (R1M).

    Args:
        root: the folder that holds the list.

    Raises:
        ValueError: the list is missing or empty, or names files that are not there.
    """
    file = root / _MILLION
    try:
        names = dict.fromkeys(line for line in file.read_text(encoding="utf-8").splitlines() if line)
    except OSError as error:
        raise ValueError(f"{file} cannot be opened ({error.strerror}); it must name one image a line") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no text ({error.reason}); it must name one image a line") from error
    if not names:
        raise ValueError(f"{file} is empty; it must name one image a line")
    listed = list_images(root / "jpg")
    there = set(listed.names)
    missing = [name for name in names if name not in there]
    if missing:
        raise MissingImagesError(
            f"{file} names {len(missing)} of {len(names)} images that are not in {root / 'jpg'}: {name_few(missing)}; "
            "unpack every revisitop1m.*.tar.gz there",
            [root / "jpg" / name for name in missing],
            Images(root / "jpg", [name for name in names if name in there]),
        )
    unlisted = LeftOut.of(UNLISTED, sorted(there - names.keys()))
    return Images(root, [f"jpg/{name}" for name in names], listed.left_out + unlisted)

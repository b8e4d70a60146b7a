"""Listing folders of images, and checking which names of a list are there by listing folders, not file by file.

Names are POSIX and relative to a root. `image_files` walks through folders of any depth.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from posixpath import normpath

from retrieval.datasets.base import Images
from retrieval.datasets.image_files import image_suffixes, list_images
from retrieval.datasets.left_out import UNLISTED, LeftOut, Listing
from retrieval.datasets.missing import MissingImagesError
from retrieval.text import name_few, printable

_STRAY = re.compile(r"^$|^/|(?:^|/)\.\.(?:/|$)|[\0\n\r]")


def list_folder(root: Path, folder: str, suffixes: tuple[str, ...] = ()) -> Listing:
    """List the images directly in a folder below `root`, as sorted names below `root`; none without such a folder.

    Images in folders below it are counted as left out; for the rest see `list_images`.

    Raises:
        MissingImagesError: links that are named as images lead nowhere; one line.
    """
    found = list_images(root / folder, suffixes, depth=0)
    return found.below(folder) if folder else found


def find_on_disk(root: Path, names: Sequence[str], *, any_suffix: bool = False) -> list[str | None]:
    """Return, for each name, the one that its file has on disk; None where there is no such file.

    With `any_suffix` an image may be there under another of `image_suffixes` instead, in small or capital letters: of
    several the first by the order of that list.
    """
    there = _files_beside(root, names)
    if not any_suffix:
        return [name if name in there else None for name in names]
    suffixes = image_suffixes()
    return [name if name in there else _under_another_suffix(name, there, suffixes) for name in names]


def list_unnamed(root: Path, names: Sequence[str], reason: str = UNLISTED) -> LeftOut:
    """Count the images that lie in a folder with images of a list, and that the list does not name.

    Args:
        root: the folder that names are relative to.
        names: of the list, as `find_on_disk` returns them.
        reason: that they are left out for.
    """
    suffixes, named = image_suffixes(), set(map(normpath, names))
    others = (name for name in map(normpath, _files_beside(root, names)) if name.lower().endswith(suffixes))
    return LeftOut.of(reason, sorted(name for name in others if name not in named and "/." not in f"/{name}"))


def check_inside(file: Path, names: Sequence[str]) -> None:
    """Check that every name that a file lists can be that of a file below a folder.

    Args:
        file: the list, for the message.
        names: as the file lists them.

    Raises:
        ValueError: a name leads out of the folder, or is none; one line.
    """
    strays = [repr(name) for name in names if _STRAY.search(name)]
    if strays:
        raise ValueError(
            f"{file} lists {len(strays)} paths that lead out of their folder, or nowhere: {name_few(strays)}; "
            "paths relative to it, on one line, without '..', are right"
        )


def check_on_disk(file: Path, root: Path, names: Sequence[str], on_disk: Sequence[str | None]) -> list[str]:
    """Check that every image that a file lists is there.

    Args:
        file: the list, for the message.
        root: the folder that the names are relative to.
        names: as the file lists them.
        on_disk: what `find_on_disk` returns for them.

    Returns:
        `on_disk`, none of which is None.

    Raises:
        MissingImagesError: an image is not there; one line.
    """
    there = [name for name in on_disk if name is not None]
    if len(there) == len(on_disk):
        return there
    missing = list(dict.fromkeys(name for name, actual in zip(names, on_disk, strict=True) if actual is None))
    noun = "image that is" if len(missing) == 1 else "images that are"
    listed = name_few([printable(name) for name in missing])
    message = f"{file} names {len(missing)} {noun} not in {root}: {listed}; each must be there under its name"
    raise MissingImagesError(message, [root / name for name in missing], Images(root, there))


def _entries(root: Path, folder: str) -> Iterator[tuple[str, bool]]:
    """Yield the name below `root` of everything directly in a folder, and whether it is a folder."""
    prefix = f"{folder}/" if folder else ""
    try:
        with os.scandir(root / folder) as entries:
            for entry in entries:
                yield prefix + entry.name, entry.is_dir()
    except (FileNotFoundError, NotADirectoryError):
        return


def _files_beside(root: Path, names: Sequence[str]) -> set[str]:
    """Return the name of every file in the folders that the names lie in."""
    folders = {name.rpartition("/")[0] for name in names}
    return {name for folder in folders for name, is_folder in _entries(root, folder) if not is_folder}


def _under_another_suffix(name: str, there: set[str], suffixes: tuple[str, ...]) -> str | None:
    stem = os.path.splitext(name)[0]
    others = (stem + suffix for small in suffixes for suffix in (small, small.upper()))
    return next((other for other in others if other in there), None)

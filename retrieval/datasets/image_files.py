"""Finding hundreds of thousands of image files in folders of any depth, as names rather than paths."""

import os
from collections.abc import Iterable
from pathlib import Path

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


def list_images(folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[str]:
    """Return the images below a folder, as sorted POSIX names relative to it; none when there is no such folder.

    `suffixes` are in small letters and met by capitals too. Hidden files and folders are left out: archives packed
    on a Mac hold a `._name.jpg` beside each `name.jpg`.
    """
    names: list[str] = []
    pending, seen = [""], set[tuple[int, int]]()
    while pending:
        prefix = pending.pop()
        at = os.path.join(folder, prefix)
        if not os.path.isdir(at):
            continue
        status = os.stat(at)
        # A link to a folder is followed, but not round and round.
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(at) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.name.lower().endswith(suffixes):
                    names.append(prefix + entry.name)
                elif entry.is_dir():
                    pending.append(f"{prefix}{entry.name}/")
    return sorted(names)


def find_image_folder(path: Path) -> Path | None:
    """Return the first folder in `path` by name that images lie in directly; None without one."""
    folders = (folder for folder in sorted(path.glob("*/")) if not folder.name.startswith("."))
    return next((folder for folder in folders if any(map(_is_image, folder.iterdir()))), None)


def stem(name: str) -> str:
    """Return `all_souls_000013` for `a/folder/all_souls_000013.jpg`."""
    return os.path.splitext(os.path.basename(name))[0]


def index_by_stem(names: Iterable[str]) -> dict[str, str]:
    """Return the name for each stem: the first of those that differ in folder or suffix only."""
    name_of: dict[str, str] = {}
    for name in names:
        name_of.setdefault(stem(name), name)
    return name_of


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES

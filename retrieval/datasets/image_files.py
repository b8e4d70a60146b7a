"""Finding hundreds of thousands of image files in folders of any depth, as names rather than paths."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from PIL import Image, ImageFile

from retrieval.datasets.base import Images
from retrieval.datasets.left_out import DEEPER, HIDDEN, OUTSIDE, SPECIAL, SYSTEM, LeftOut, Listing
from retrieval.datasets.missing import MissingImagesError
from retrieval.text import name_few, printable

FIRST_SUFFIXES = (".jpg", ".jpeg", ".png")
"""Those of published sets: where a list tells no suffix, images of these come before images of another one."""

# Files and folders that systems leave between a person's images: Windows, macOS and its archives, Synology.
_SYSTEM_NAMES = frozenset(
    ("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", ".ds_store", "__macosx", "@eadir", "lost+found")
)
# Images that Pillow reads once another package has registered itself: suffix → package.
_HEIF = (".heic", ".heics", ".heif", ".heifs", ".hif")
_PLUGINS = {**dict.fromkeys(_HEIF, "pillow-heif"), ".jxl": "pillow-jxl-plugin"}
_PLUGIN_MODULES = ("pillow_heif.HeifImagePlugin", "pillow_jxl")
# PostScript runs Ghostscript, and of a film (MPEG) Pillow reads the size alone; an IPTC file is a container of records.
_NO_PICTURES = frozenset(("EPS", "MPEG", "IPTC"))


def image_suffixes() -> tuple[str, ...]:
    """Return the suffixes, in small letters, of every type of image that Pillow decodes by itself here.

    They are those that its plugins have registered, without formats that it cannot open, that only other programs
    decode (its stubs: WMF, HDF5, GRIB, BUFR), or that hold no picture. `pillow-heif` and `pillow-jxl-plugin` count
    where they are installed.
    """
    register_plugins()
    decoded = {name for name, (factory, _) in Image.OPEN.items() if not _is_stub(factory)} - _NO_PICTURES
    others = sorted(suffix for suffix, name in Image.EXTENSION.items() if name in decoded)
    return tuple(dict.fromkeys((*FIRST_SUFFIXES, *others)))


def register_plugins() -> None:
    """Load every plugin of Pillow, and those that other packages bring, so that `Image.open` knows their types."""
    Image.init()
    for module in _PLUGIN_MODULES:
        with suppress(ImportError):
            import_module(module)


def _is_stub(factory: object) -> bool:
    return isinstance(factory, type) and issubclass(factory, ImageFile.StubImageFile)


def list_images(folder: Path, suffixes: tuple[str, ...] = (), depth: int | None = None) -> Listing:
    """List the images below a folder, as sorted POSIX names relative to it; none when there is no such folder.

    A link to a folder is followed. Hidden files and folders are left out: archives packed on a Mac hold a
    `._name.jpg` beside each `name.jpg`. A file of no bytes is no reason: whoever decodes it will name it.

    Args:
        folder: where to begin.
        suffixes: of images, in small letters, met by capitals too; none: `image_suffixes`.
        depth: how many folders down images are taken; those below are counted as left out. None: from all.

    Raises:
        MissingImagesError: links that are named as images lead nowhere; one line.
    """
    wanted = suffixes or image_suffixes()
    names: list[str] = []
    dangling: list[str] = []
    rest: list[tuple[str, str]] = []
    for name, entry in _walk(folder):
        reason = _reason(entry, wanted)
        if reason is not None:
            rest.append((reason, name))
        elif entry.is_symlink() and not os.path.exists(entry.path):
            dangling.append(name)
        elif not entry.is_file():
            rest.append((SPECIAL, name))
        elif depth is not None and name.count("/") > depth:
            rest.append((DEEPER, name))
        else:
            names.append(name)
    names.sort()
    if dangling:
        raise _dangling(folder, sorted(dangling), names)
    return Listing(names, LeftOut.count_all(rest))


def list_published(folder: Path, depth: int | None = None) -> Listing:
    """List the .jpg images below a folder, as the published benchmarks have them: whatever lies between is none.

    Where there is no .jpg the set is one's own in the layout of a benchmark, and images of every type are listed.

    Args:
        folder: where to begin.
        depth: as in `list_images`.

    Raises:
        MissingImagesError: as `list_images`.
    """
    published = list_images(folder, (".jpg",), depth)
    return published if published.names else list_images(folder, depth=depth)


def class_folders(root: Path) -> list[str]:
    """Return the names of the folders in `root`, sorted, without hidden ones and those that systems leave."""
    with os.scandir(root) as entries:
        return sorted(entry.name for entry in entries if _is_shown_folder(entry))


def list_outside(root: Path) -> LeftOut:
    """Count what lies in `root` beside its class folders: images too, which then are of no class."""
    suffixes = image_suffixes()
    with os.scandir(root) as entries:
        others = [(_reason(entry, suffixes) or OUTSIDE, entry.name) for entry in entries if not _is_shown_folder(entry)]
    return LeftOut.count_all(others)


def _is_shown_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() and _hidden(entry.name) is None


def find_image_folder(path: Path) -> Path | None:
    """Return the first folder in `path` by name that images lie in directly; None without one."""
    suffixes = image_suffixes()
    folders = (path / name for name in class_folders(path)) if path.is_dir() else ()
    return next((folder for folder in folders if _holds_image(folder, suffixes)), None)


def stem(name: str) -> str:
    """Return `all_souls_000013` for `a/folder/all_souls_000013.jpg`."""
    return os.path.splitext(os.path.basename(name))[0]


def index_by_stem(names: Iterable[str]) -> dict[str, str]:
    """Return the name for each stem: the first by name of those that differ in folder or suffix only.

    Any of `FIRST_SUFFIXES` comes before any other suffix.
    """
    name_of: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (not name.lower().endswith(FIRST_SUFFIXES), name)):
        name_of.setdefault(stem(name), name)
    return name_of


def _walk(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield everything below a folder by its name relative to it, except folders that are entered."""
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
                if _is_shown_folder(entry):
                    pending.append(f"{prefix}{entry.name}/")
                else:
                    yield prefix + entry.name, entry


def _reason(entry: os.DirEntry[str], suffixes: tuple[str, ...]) -> str | None:
    """Return why an entry is no image by its name; None where it may be one."""
    hidden = _hidden(entry.name)
    if hidden is not None or entry.name.lower().endswith(suffixes):
        return hidden
    suffix = os.path.splitext(entry.name)[1].lower()
    return f"{suffix}, needs {_PLUGINS[suffix]}" if suffix in _PLUGINS else suffix or "without a suffix"


def _hidden(name: str) -> str | None:
    if name.lower() in _SYSTEM_NAMES:
        return SYSTEM
    return HIDDEN if name.startswith(".") else None


def _dangling(folder: Path, links: list[str], names: list[str]) -> MissingImagesError:
    noun = "link that leads" if len(links) == 1 else "links that lead"
    return MissingImagesError(
        f"{folder} holds {len(links)} {noun} nowhere: {name_few([printable(link) for link in links])}; "
        "bring back what they lead to, or delete them",
        [folder / link for link in links],
        Images(folder, names),
    )


def _holds_image(folder: Path, suffixes: tuple[str, ...]) -> bool:
    with os.scandir(folder) as entries:
        return any(
            _hidden(entry.name) is None and entry.name.lower().endswith(suffixes) and not entry.is_dir()
            for entry in entries
        )

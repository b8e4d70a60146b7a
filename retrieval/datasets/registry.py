"""All data set formats by name; recognising the format of a folder, and opening sets of any format."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from retrieval.datasets import formats
from retrieval.datasets.base import ExifOrientation, RetrievalSet, TrainingSet
from retrieval.datasets.distractors import add_distractors, load_distractors
from retrieval.datasets.format import Distractors, Format, Source


def discover_formats() -> dict[str, Format]:
    """Import every file of `formats/` and return what each exports as `FORMAT`, by name, in order of recognition.

    The order is that of `Format.precedence`, fallbacks last, and by name where that is equal.

    Raises:
        TypeError: a file there exports no `FORMAT`, or one that is not named as the file.
    """
    known = []
    for module in iter_modules(formats.__path__):
        exported = getattr(import_module(f"{formats.__name__}.{module.name}"), "FORMAT", None)
        if not isinstance(exported, Format) or exported.name != module.name:
            raise TypeError(
                f"retrieval/datasets/formats/{module.name}.py exports FORMAT = {exported!r}; "
                f"a Format named {module.name!r} would be right"
            )
        known.append(exported)
    known.sort(key=lambda each: (each.is_fallback, each.precedence, each.name))
    return {each.name: each for each in known}


FORMATS = discover_formats()


def recognise(folder: Path) -> str:
    """Return the format of the data set in `folder`, or described by the file that `folder` names instead.

    Args:
        folder: a folder, or a file that describes a set.

    Returns:
        A name in `FORMATS`: the first whose sign is there.

    Raises:
        ValueError: nothing is there, or nothing that is known.
    """
    if not folder.exists():
        raise ValueError(f"data set {folder} does not exist")
    for name, known in FORMATS.items():
        if known.find_sign(folder) is not None:
            return name
    layouts = "; ".join(f"{known.title} ({known.layout})" for known in FORMATS.values())
    raise ValueError(f"{folder} is in no format that is known, which are: {layouts}")


def signs_of(folder: Path) -> dict[str, Path]:
    """Return the sign of every format that lies in `folder`, by the format's name.

    There are several where ground truth lies there in several forms. Fallbacks count only where no other format is
    recognised: other formats keep their images in folders, too.
    """
    signs = {name: sign for name, known in FORMATS.items() if (sign := known.find_sign(folder)) is not None}
    certain = {name: sign for name, sign in signs.items() if not FORMATS[name].is_fallback}
    return certain or signs


def open_retrieval(root: Path, source: Source, exif_orientation: ExifOrientation | None = None) -> RetrievalSet:
    """Read the database and queries that `source` names.

    Args:
        root: the data root, which paths of the source are relative to.
        source: path, format, split and options.
        exif_orientation: how the images are read; None: as the format has it.

    Raises:
        ValueError: an unknown format, options that it does not have, or what its loader refuses; one line.
    """
    path = root / source.path
    chosen = choose_format(path, source)
    _check_options(path, chosen, source)
    _check_pattern(path, chosen, source)
    opened = replace(chosen.queries(path, source), exif_orientation=exif_orientation or chosen.exif_orientation)
    if source.distractors is None or chosen.distractors is not Distractors.ADDED:
        return opened
    return add_distractors(opened, load_distractors(root / source.distractors))


def open_training(root: Path, source: Source, exif_orientation: ExifOrientation | None = None) -> TrainingSet:
    """Read the labelled images that `source` names.

    Args:
        root: the data root, which paths of the source are relative to.
        source: path, format and split.
        exif_orientation: how the images are read; None: as the format has it.

    Raises:
        ValueError: an unknown format, one without training images, options that only a database has, or what its
            loader refuses; one line.
    """
    path = root / source.path
    chosen = choose_format(path, source)
    if chosen.training is None:
        others = ", ".join(each for each, known in FORMATS.items() if known.training is not None)
        raise ValueError(f"{path} is no training set (format {chosen.name}: {chosen.title}); those are {others}")
    if source.distractors is not None or source.panoramas:
        raise ValueError(f"{path}: distractors and panoramas are of databases; a training set takes neither")
    _check_pattern(path, chosen, source)
    return replace(chosen.training(path, source), exif_orientation=exif_orientation or chosen.exif_orientation)


def choose_format(path: Path, source: Source) -> Format:
    """Return the format that a source names, or that its folder is recognised as.

    Raises:
        ValueError: nothing is there, or nothing that is known; one line.
    """
    name = source.format if source.format is not None else recognise(path)
    if name not in FORMATS:
        raise ValueError(f"{path}: unknown format {name!r}; known are {', '.join(FORMATS)}")
    if not path.exists():
        raise ValueError(f"data set {path} does not exist")
    return FORMATS[name]


def _check_options(path: Path, chosen: Format, source: Source) -> None:
    if source.panoramas and not chosen.has_panoramas:
        owners = ", ".join(each for each, known in FORMATS.items() if known.has_panoramas)
        raise ValueError(f"{path}: panoramas are of {owners}; leave them out for format {chosen.name}")
    if source.distractors is not None and chosen.distractors is Distractors.REFUSED:
        takers = ", ".join(each for each, known in FORMATS.items() if known.distractors is not Distractors.REFUSED)
        raise ValueError(f"{path}: format {chosen.name} takes no distractors; {takers} do")


def _check_pattern(path: Path, chosen: Format, source: Source) -> None:
    if source.pattern is not None and not chosen.has_patterns:
        owners = ", ".join(each for each, known in FORMATS.items() if known.has_patterns)
        raise ValueError(f"{path}: pattern is of {owners}; leave it out for format {chosen.name}")

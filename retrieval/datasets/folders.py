"""Training images sorted into folders, one folder a class."""

from pathlib import Path

import numpy as np

from retrieval.datasets.base import Images, TrainingSet, name_few
from retrieval.datasets.listing import list_folder

_LAYOUT = "the layout wanted is <root>/<class>/*.jpg"


def load_folder_per_class(root: Path) -> TrainingSet:
    """Read `<root>/<class>/*.jpg`, .jpeg or .png: classes and images in the order of their names.

    Files beside the class folders, hidden ones, and other files in them are left alone. Raises ValueError, naming the
    folder, when `root` is missing or holds no class folder, or when a class folder holds no image.
    """
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; {_LAYOUT}")
    folders = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise ValueError(f"{root} holds no class folder; {_LAYOUT}")
    images_of = {folder: list_folder(root, folder) for folder in folders}
    empty = [str(root / folder) for folder, images in images_of.items() if not images]
    if empty:
        raise ValueError(f"class folders without an image, {len(empty)} in all: {name_few(empty)}; {_LAYOUT}")
    return TrainingSet(
        images=Images(root, [image for images in images_of.values() for image in images]),
        labels=np.repeat(np.arange(len(folders)), [len(images) for images in images_of.values()]),
        classes=tuple(folders),
    )

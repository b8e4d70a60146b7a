"""Images sorted into folders, one folder a class: to train on, or each to be searched for among all others."""

from pathlib import Path

import numpy as np

from retrieval.datasets.base import Identities, Images, Query, RetrievalSet, TrainingSet
from retrieval.datasets.format import Distractors, Format, Reading, Source
from retrieval.datasets.image_files import class_folders, find_image_folder, list_outside
from retrieval.datasets.left_out import Listing
from retrieval.datasets.listing import list_folder
from retrieval.text import name_few, printable

_LAYOUT = "the layout wanted is <root>/<class>/*.jpg"


def load_folder_per_class(root: Path) -> TrainingSet:
    """Read the images that lie in `<root>/<class>/`: classes and images in the order of their names.

    Images beside the class folders or in folders below them, hidden files and folders, and files that are no images
    are counted in `TrainingSet.left_out`.

    Raises:
        ValueError: `root` is missing or holds no class folder, or a class folder holds no image.
    """
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; {_LAYOUT}")
    folders = class_folders(root)
    if not folders:
        raise ValueError(f"{root} holds no class folder; {_LAYOUT}")
    listed = {folder: list_folder(root, folder) for folder in folders}
    empty = [_without_image(root / folder, found) for folder, found in listed.items() if not found.names]
    if empty:
        raise ValueError(f"class folders without an image, {len(empty)} in all: {name_few(empty)}; {_LAYOUT}")
    return TrainingSet(
        images=Images(root, [image for found in listed.values() for image in found.names]),
        labels=np.repeat(np.arange(len(folders)), [len(found.names) for found in listed.values()]),
        classes=tuple(folders),
        # A class has one name in the folders that lie beside each other, as train, val and test.
        identities=Identities(root.resolve().parent, frozenset(folders)),
        left_out=sum((found.left_out for found in listed.values()), list_outside(root)),
    )


def _without_image(folder: Path, listed: Listing) -> str:
    shown = printable(str(folder))
    return f"{shown} ({listed.left_out})" if listed.left_out else shown


def load_folder_queries(root: Path) -> RetrievalSet:
    """Read `<root>/<class>/*.jpg` as a database in which every image whose class has another one is a query.

    Positives are the other images of its class; the query's own image is junk. Scored by the classic protocol.

    Raises:
        ValueError: as `load_folder_per_class`, and when no class has two images.
    """
    labelled = load_folder_per_class(root)
    indices = np.arange(len(labelled.images))
    members = [indices[labelled.labels == label] for label in range(len(labelled.classes))]
    asked = [index for same in members if same.size > 1 for index in same.tolist()]
    if not asked:
        raise ValueError(f"{root}: none of its {len(members)} classes has two images; queries need another to find")
    queries = []
    for index in asked:
        path, label = labelled.images[index], labelled.labels[index]
        same, itself = members[label], indices[index : index + 1]
        queries.append(Query(f"{labelled.classes[label]}/{path.name}", path, None, same[same != index], junk=itself))
    return RetrievalSet(
        root.resolve().name,
        labelled.images,
        tuple(queries),
        identities=labelled.identities,
        left_out=labelled.left_out,
    )


def _load(path: Path, split: str, source: Source) -> RetrievalSet:
    return load_folder_queries(path)


def _load_training(path: Path, split: str, source: Source) -> TrainingSet:
    return load_folder_per_class(path)


FORMAT = Format(
    name="folders",
    title="one folder a class",
    layout="<class>/*.jpg",
    find_sign=find_image_folder,
    queries=Reading(_load),
    training=Reading(_load_training),
    is_fallback=True,  # other formats keep their images in folders, too
    distractors=Distractors.ADDED,
    exif_orientation="apply",
)

"""Images that a file labels.csv lists, one `name,label` a line, beside the folder images/."""

import csv
from pathlib import Path

import numpy as np

from retrieval.datasets.base import Images, Query, RetrievalSet, TrainingSet
from retrieval.datasets.format import Format, Reading, Source


def _find_sign(path: Path) -> Path | None:
    file = path / "labels.csv"
    return file if file.is_file() else None


def _load_training(path: Path, split: str, source: Source) -> TrainingSet:
    with (path / "labels.csv").open(newline="") as file:
        names, texts = zip(*csv.reader(file), strict=True)
    classes, labels = np.unique(texts, return_inverse=True)
    return TrainingSet(Images(path / "images", names), labels, tuple(map(str, classes)))


def _load(path: Path, split: str, source: Source) -> RetrievalSet:
    images, labels = (labelled := _load_training(path, split, source)).images, labelled.labels
    indices = np.arange(len(images))
    queries = [
        Query(
            f"{i}", images[i], None, positives=np.flatnonzero((labels == labels[i]) & (indices != i)), junk=indices[[i]]
        )
        for i in indices
    ]
    return RetrievalSet(path.resolve().name, images, tuple(queries))


FORMAT = Format(
    name="label_csv",
    title="labels in a CSV file",
    layout="labels.csv and images/",
    find_sign=_find_sign,
    queries=Reading(_load),
    training=Reading(_load_training),
    class_noun="labels",
    set_names={"flowers": "Flowers"},
)

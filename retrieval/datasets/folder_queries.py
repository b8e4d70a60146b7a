"""Images sorted into folders, one folder a class, asked for one another: for sets that come without queries."""

from pathlib import Path

import numpy as np

from retrieval.datasets.base import Query, RetrievalSet
from retrieval.datasets.folders import load_folder_per_class


def load_folder_queries(root: Path) -> RetrievalSet:
    """Read `<root>/<class>/*.jpg` as a database, of which every image whose class has another one is a query.

    Positives are the other images of its class; the query's own image is junk. Scored by the classic protocol. Raises
    ValueError as `load_folder_per_class` does, and when no class has two images.
    """
    found = load_folder_per_class(root)
    indices = np.arange(len(found.images))
    members = [indices[found.labels == label] for label in range(len(found.classes))]
    asked = [index for same in members if same.size > 1 for index in same.tolist()]
    if not asked:
        raise ValueError(f"{root}: none of its {len(members)} classes has two images; queries need another to find")
    queries = []
    for index in asked:
        path, label = found.images[index], found.labels[index]
        same, itself = members[label], indices[index : index + 1]
        queries.append(Query(f"{found.classes[label]}/{path.name}", path, None, same[same != index], junk=itself))
    return RetrievalSet(root.resolve().name, found.images, tuple(queries))

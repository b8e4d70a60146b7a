"""What `check-data` says of a folder."""

from collections.abc import Iterator
from pathlib import Path

from retrieval.datasets.base import RetrievalSet
from retrieval.datasets.oxford import load_oxford
from trainables.data import check_images, open_data
from trainables.settings import DataSettings


def describe_data(folder: Path) -> Iterator[str]:
    """Yield lines that name the format and count images, queries, positives and junk.

    Raises:
        ValueError: the format is not known, or a file is missing or unreadable; all of them are named.
    """
    if not folder.is_dir():
        raise ValueError(f"data folder {folder} does not exist")
    settings = DataSettings(root=folder.resolve(), image_size=64)
    if (folder / "gt").is_dir():
        yield f"{folder}: Oxford5k layout (jpg/, gt/)"
        found = load_oxford(folder, name=folder.name)
        yield _describe(found)
        yield f"{check_images(found.images)} images read: all are sound"
    elif (folder / settings.select_on / "gt").is_dir():
        data = open_data(settings)
        yield f"{folder}: a sweep's data: {settings.train}/ by place, and two splits in the Oxford5k layout"
        yield f"{settings.train}: {len(data.train.images)} images of {len(data.train.classes)} places"
        yield _describe(data.select_on)
        yield _describe(data.report_on)
        yield f"{check_images(data.images)} images read: all are sound"
    else:
        raise ValueError(f"{folder} has no gt/ and no {settings.select_on}/gt/: the Oxford5k layout is what is known")


def _describe(retrieval_set: RetrievalSet) -> str:
    queries = retrieval_set.queries
    return (
        f"{retrieval_set.name}: {len(retrieval_set.images)} images, {len(queries)} queries, "
        f"{sum(len(query.positives) for query in queries)} positives, {sum(len(query.junk) for query in queries)} junk"
    )

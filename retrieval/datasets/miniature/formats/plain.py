"""The two forms for anything else: one folder a class, and a Parquet manifest."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from retrieval.datasets.miniature.formats.drawn import Drawn, DrawnPlace, DrawnSplit, move

_Row = tuple[str, str, str]


def write_folders(drawn: Drawn, out: Path) -> None:
    """Write `{train,val,test}/<place>/`, queries among the others; neither form knows junk, which is left out."""
    for split, places in (("train", drawn.training), ("val", _all(drawn.val)), ("test", _all(drawn.test))):
        for place in places:
            for view in (*place.good, *place.ok):
                move(view, out / split / place.name / view.name)


def write_manifest(drawn: Drawn, out: Path) -> None:
    """Write `manifest.parquet` and `images/`; the queries of a split are the rows of `<split>_query`."""
    rows = list(_move(out, "train", ((place, place.good) for place in drawn.training)))
    for name, split in (("val", drawn.val), ("test", drawn.test)):
        rows += _move(out, name, ((place, place.answers) for place in _all(split)))
        rows += _move(out, f"{name}_query", ((place, place.asked) for place in split.places))
    columns = zip(("path", "label", "split"), zip(*rows, strict=True), strict=True)
    parquet.write_table(pa.table({name: list(values) for name, values in columns}), out / "manifest.parquet")


def _all(split: DrawnSplit) -> tuple[DrawnPlace, ...]:
    return (*split.places, *split.distractors)


def _move(out: Path, split: str, views_of: Iterable[tuple[DrawnPlace, tuple[Path, ...]]]) -> Iterable[_Row]:
    for place, views in views_of:
        for view in views:
            name = f"images/{split}/{view.name}"
            move(view, out / name)
            yield name, place.name, split

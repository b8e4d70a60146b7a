"""Data set formats by name: which there are, how a folder is recognised, and who reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from retrieval.datasets import format_detection as signs
from retrieval.datasets.base import RetrievalSet, TrainingSet

# The loaders are imported where they are called: scipy and pyarrow take a while, and every worker would pay for them.

Set = TypeVar("Set", RetrievalSet, TrainingSet)


class Source(BaseModel):
    """One data set of a sweep: where it is below the data root, in which format, and what of it.

    Args:
        path: a folder, or the one file that describes the set.
        format: a name in `FORMATS`; None: recognised.
        split: of those that the format has; None: `test` for queries (`val` for retrieval-SfM), `train` for training.
        distractors: a folder below the data root whose images are added to the database as wrong answers: the million
            of `revisitop1m.txt`, the folder `images` of Market-1501, or else Flickr100k.
        panoramas: only the best cutout of each panorama counts (Tokyo 24/7 in its original protocol).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = "."
    format: str | None = None
    split: str | None = None
    distractors: str | None = None
    panoramas: bool = False


def _unsplit(path: Path) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Reading(Generic[Set]):
    """How sets of one kind are read from a format.

    Args:
        load: from a path, one of its splits ("" where there are none) and the options of the source.
        default: the split that is meant where none is named.
        splits: those that are there, at a path.
    """

    load: Callable[[Path, str, Source], Set]
    default: str = ""
    splits: Callable[[Path], tuple[str, ...]] = _unsplit

    def __call__(self, path: Path, source: Source) -> Set:
        """Raises ValueError of one line: for a split that is not there, and what the loader refuses."""
        if source.split is not None and source.split not in (there := self.splits(path)):
            known = f"there are {', '.join(there)}" if there else "it is not split: leave split out"
            raise ValueError(f"{path} has no split {source.split!r}; {known}")
        return self.load(path, source.split or self.default, source)


@dataclass(frozen=True)
class Format:
    """One way in which data sets lie on disk.

    Args:
        title: for people.
        layout: what its folder must hold, for error messages.
        sign: finds what gives it away at a path, or None.
        queries: reads a set to rank.
        training: reads a set to train on; None: it holds none.
        takes_distractors: whether others' images can be added to its database.
        classes: what the classes of its training images are.
    """

    title: str
    layout: str
    sign: Callable[[Path], Path | None]
    queries: Reading[RetrievalSet]
    training: Reading[TrainingSet] | None = None
    takes_distractors: bool = False
    classes: str = "classes"


def _load_oxford(path: Path, split: str, source: Source) -> RetrievalSet:
    from retrieval.datasets.oxford import load_oxford

    return load_oxford(path, name=path.resolve().name)


def _load_gnd(path: Path, split: str, source: Source) -> RetrievalSet:
    from retrieval.datasets.gnd import load_gnd

    return load_gnd(path.parent, path.stem.removeprefix("gnd_")) if path.is_file() else load_gnd(path)


def _load_market(path: Path, split: str, source: Source) -> RetrievalSet:
    from retrieval.datasets.market1501 import load_market

    if source.distractors not in (None, "images"):
        raise ValueError(
            f"{path}: distractors are {source.distractors!r}; those of Market-1501 are its 'images' folder"
        )
    return load_market(path, split, distractors=source.distractors is not None)


def _load_market_training(path: Path, split: str, source: Source) -> TrainingSet:
    from retrieval.datasets.market1501 import load_market_training

    return load_market_training(path, split)


def _load_dbstruct(path: Path, split: str, source: Source) -> RetrievalSet:
    from retrieval.datasets.pitts import load_dbstruct

    return load_dbstruct(signs.pick_dbstruct(path, split), panoramas=source.panoramas)


def _load_dbstruct_training(path: Path, split: str, source: Source) -> TrainingSet:
    from retrieval.datasets.pitts import load_dbstruct_training

    return load_dbstruct_training(signs.pick_dbstruct(path, split))


def _load_utm(path: Path, split: str, source: Source) -> RetrievalSet:
    from retrieval.datasets.utm_folder import load_utm_folder

    return load_utm_folder(path, split)


def _load_utm_training(path: Path, split: str, source: Source) -> TrainingSet:
    from retrieval.datasets.utm_folder import load_utm_training

    return load_utm_training(path, split)


def _load_sfm(path: Path, split: str, source: Source) -> RetrievalSet:
    from retrieval.datasets.sfm import load_sfm_queries

    return load_sfm_queries(path, split)


def _load_sfm_training(path: Path, split: str, source: Source) -> TrainingSet:
    from retrieval.datasets.sfm import load_sfm_training

    return load_sfm_training(path, split)


def _load_folders(path: Path, split: str, source: Source) -> RetrievalSet:
    from retrieval.datasets.folder_queries import load_folder_queries

    return load_folder_queries(path)


def _load_folders_training(path: Path, split: str, source: Source) -> TrainingSet:
    from retrieval.datasets.folders import load_folder_per_class

    return load_folder_per_class(path)


def _load_manifest(path: Path, split: str, source: Source) -> RetrievalSet:
    from retrieval.datasets.manifest import load_manifest

    return load_manifest(_manifest(path), split)


def _load_manifest_training(path: Path, split: str, source: Source) -> TrainingSet:
    from retrieval.datasets.manifest import load_manifest_training

    return load_manifest_training(_manifest(path), split)


def _manifest(path: Path) -> Path:
    return signs.find_manifest(path) or path / "manifest.parquet"


def _fixed(*splits: str) -> Callable[[Path], tuple[str, ...]]:
    return lambda path: splits


def _manifest_splits(path: Path) -> tuple[str, ...]:
    """Those that the file names, without the `<split>_query` rows, which belong to `<split>`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = _manifest(path)
    try:
        named = pq.read_table(file, columns=["split"])["split"].unique().to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{file} cannot be read ({said}); it must be Parquet with a column split") from error
    return tuple(sorted(str(split) for split in named if not str(split).endswith("_query")))


# Where a folder bears several signs the first decides: text ground truth before its pickled twin, and last the class
# folders, since other formats keep their images in folders too.
FORMATS: dict[str, Format] = {
    "oxford": Format(
        "text ground truth in the Oxford5k layout",
        "jpg/ and gt/*_query.txt",
        signs.find_text_ground_truth,
        queries=Reading(_load_oxford),
        takes_distractors=True,
    ),
    "gnd": Format(
        "ground truth in one file",
        "jpg/ and gnd_<name>.pkl or .mat",
        signs.find_gnd,
        queries=Reading(_load_gnd),
        takes_distractors=True,
    ),
    "market1501": Format(
        "Market-1501 layout",
        "bounding_box_train/, bounding_box_test/ and query/",
        signs.find_market,
        queries=Reading(_load_market, "test", _fixed("test", "val")),
        training=Reading(_load_market_training, "train", _fixed("train", "train_all")),
        takes_distractors=True,
        classes="identities",
    ),
    "dbstruct": Format(
        "dbStruct of place recognition",
        "<name>_<split>.mat, or datasets/ with them",
        signs.find_dbstruct,
        queries=Reading(_load_dbstruct, "test", signs.dbstruct_splits),
        training=Reading(_load_dbstruct_training, "train", signs.dbstruct_splits),
        classes="cells of 10 m",
    ),
    "utm": Format(
        "@UTM@ folders of place recognition",
        "images/{train,val,test}/{database,queries}/",
        signs.find_utm,
        queries=Reading(_load_utm, "test", signs.utm_splits),
        training=Reading(_load_utm_training, "train", signs.utm_splits),
        classes="cells of 10 m",
    ),
    "sfm": Format(
        "retrieval-SfM training pairs",
        "retrieval-SfM-<size>.pkl and ims/",
        signs.find_sfm,
        queries=Reading(_load_sfm, "val", _fixed("val", "train")),
        training=Reading(_load_sfm_training, "train", _fixed("train", "val")),
        classes="3D models",
    ),
    "manifest": Format(
        "Parquet manifest",
        "manifest.parquet with columns path, label, split",
        signs.find_manifest,
        queries=Reading(_load_manifest, "test", _manifest_splits),
        training=Reading(_load_manifest_training, "train", _manifest_splits),
        takes_distractors=True,
    ),
    "folders": Format(
        "one folder a class",
        "<class>/*.jpg",
        signs.find_class_folder,
        queries=Reading(_load_folders),
        training=Reading(_load_folders_training),
        takes_distractors=True,
    ),
}


def recognise(folder: Path) -> str:
    """The name in `FORMATS` of the data set in `folder`, or described by the file that `folder` names instead.

    Raises ValueError when nothing is there, or nothing that is known.
    """
    if not folder.exists():
        raise ValueError(f"data set {folder} does not exist")
    for name, known in FORMATS.items():
        if known.sign(folder) is not None:
            return name
    layouts = "; ".join(f"{known.title} ({known.layout})" for known in FORMATS.values())
    raise ValueError(f"{folder} is in no format that is known, which are: {layouts}")


def open_retrieval(root: Path, source: Source) -> RetrievalSet:
    """Read the database and queries that `source` names below the data root.

    Raises ValueError of one line: an unknown format, options that it does not have, and what its loader refuses.
    """
    path = root / source.path
    name, chosen = _choose(path, source)
    _check_options(path, name, chosen, source)
    found = chosen.queries(path, source)
    return _with_distractors(found, root, source) if source.distractors and name != "market1501" else found


def open_training(root: Path, source: Source) -> TrainingSet:
    """Read the labelled images that `source` names below the data root.

    Raises ValueError of one line: an unknown format, one without training images, options that only a database has,
    and what its loader refuses.
    """
    path = root / source.path
    name, chosen = _choose(path, source)
    if chosen.training is None:
        others = ", ".join(each for each, known in FORMATS.items() if known.training is not None)
        raise ValueError(f"{path} is no training set (format {name}: {chosen.title}); those are {others}")
    if source.distractors is not None or source.panoramas:
        raise ValueError(f"{path}: distractors and panoramas are of databases; a training set takes neither")
    return chosen.training(path, source)


def _choose(path: Path, source: Source) -> tuple[str, Format]:
    name = source.format if source.format is not None else recognise(path)
    if name not in FORMATS:
        raise ValueError(f"{path}: unknown format {name!r}; known are {', '.join(FORMATS)}")
    if not path.exists():
        raise ValueError(f"data set {path} does not exist")
    return name, FORMATS[name]


def _check_options(path: Path, name: str, chosen: Format, source: Source) -> None:
    if source.panoramas and name != "dbstruct":
        raise ValueError(f"{path}: panoramas are of dbstruct; leave them out for format {name}")
    if source.distractors is not None and not chosen.takes_distractors:
        takers = ", ".join(each for each, known in FORMATS.items() if known.takes_distractors)
        raise ValueError(f"{path}: format {name} takes no distractors; {takers} do")


def _with_distractors(found: RetrievalSet, root: Path, source: Source) -> RetrievalSet:
    from retrieval.datasets.distractors import add_distractors, load_flickr100k, load_revisitop1m

    folder = root / str(source.distractors)
    load = load_revisitop1m if signs.find_revisitop(folder) else load_flickr100k
    return add_distractors(found, load(folder))

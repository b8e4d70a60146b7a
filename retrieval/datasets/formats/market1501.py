"""Market-1501, people seen by six cameras, and any re-identification set in three folders.

<root>/bounding_box_train/   people to train on
<root>/bounding_box_test/    the database: other people, background (pid 0) and junk (pid -1)
<root>/query/                one image a person and camera
<root>/images/               the 500,000 distractors, where they were fetched

`0002_c1s1_000451_03.jpg` shows person 2 (the pid) before camera 1. The folders may also lie in the one that the archive
makes, such as `Market-1501-v15.09.15/`. VeRi-776 calls them `image_train/`, `image_test/` and `image_query/`. Names of
other sets are read by `[data] pattern`: see `retrieval.datasets.reid_names`.
"""

from dataclasses import dataclass
from pathlib import Path

from retrieval.datasets.base import RetrievalSet, TrainingSet
from retrieval.datasets.format import Distractors, Format, Reading, Source, fixed_splits
from retrieval.datasets.identities import Gallery, first_of_each_camera, hold_out, to_rank, to_train
from retrieval.datasets.image_files import list_published
from retrieval.datasets.left_out import Listing
from retrieval.datasets.listing import list_folder
from retrieval.datasets.reid_names import PRESETS, NameRule, name_rule

_INNER = ("", "Market-1501-v15.09.15", "market1501", "DukeMTMC-reID", "VeRi")
_DISTRACTORS = "images"


@dataclass(frozen=True)
class _Layout:
    """The folders of one kind of set."""

    train: str
    test: str
    query: str


_MARKET = _Layout("bounding_box_train", "bounding_box_test", "query")
_VERI = _Layout("image_train", "image_test", "image_query")


@dataclass(frozen=True)
class _Folders:
    """The folders of one set, and how the files in them are named."""

    root: Path
    layout: _Layout
    rule: NameRule

    def read(self, folder: str) -> Gallery:
        """Return all images of a folder except junk.

        Raises:
            ValueError: it is missing or holds no image, or names are not by the rule; one line.
        """
        listed = _list(self.root, folder, self.rule)
        inside = self.root / _find(self.root, folder)
        if not listed.names:
            more = f" ({listed.left_out})" if listed.left_out else ""
            raise ValueError(f"{inside} holds no image{more}; it must hold images of people")
        return Gallery.read(folder, self.rule, self.root, listed)

    def name(self, split: str) -> str:
        """Return the name of the set and split, for messages."""
        known = self.rule.name if self.rule.name in PRESETS else self.root.resolve().name
        return known if split == "test" else f"{known}_{split}"


def load_market(root: Path, split: str = "test", distractors: bool = False, pattern: str | None = None) -> RetrievalSet:
    """Read the database and queries by the rules of Zheng et al., "Scalable Person Re-identification", ICCV 2015.

    Positives show the query's person before another camera, junk the same person before the same one. Of the database's
    images those of pid -1 are left out: they are junk to every query, so no ranking changes, and need not be described.
    Images of pid 0 stay, as wrong answers. `distractors` adds the images of `images/` after the others.

    VeRi-776 (Liu et al., ICME 2016), DukeMTMC-reID (Zheng et al., ICCV 2017) and CUHK03 in its new protocol (Zhong et
    al., CVPR 2017) are scored by the same rules, without pids for junk and background. VeRi's queries are images of its
    database, too, and so junk to themselves; its gt_index.txt and jk_index.txt say the same and are not read.

    The split `val` is ours, to search by without a look at the test: every 7th training identity in the order of pids,
    beginning with the first. All their images are the database; the first of each before each camera is a query too,
    and junk to itself by the rule above.

    Args:
        root: the folder of the set.
        split: `test`, or `val`.
        distractors: whether the images of `images/` are added.
        pattern: how files are named, see `retrieval.datasets.reid_names`; None: recognised, or as in Market-1501.

    Raises:
        ValueError: a folder is missing or empty, files are not named by the rule, or a query shows nobody; one line.
    """
    folders = _open(root, pattern)
    if split == "test":
        database, queries = folders.read(folders.layout.test), folders.read(folders.layout.query)
    elif split == "val":
        _, database = hold_out(folders.read(folders.layout.train).known(root))
        queries = first_of_each_camera(database)
    else:
        raise ValueError(f"{root}: split {split!r} has no queries; test or val is right")
    if distractors:
        # The base database keeps its indices.
        database = database.and_then(folders.read(_DISTRACTORS))
    return to_rank(folders.name(split), root, database, queries)


def load_market_training(root: Path, split: str = "train", pattern: str | None = None) -> TrainingSet:
    """Read the training images, an identity a class, in the order of pids; images of nobody (pid 0, -1) are left out.

    `train` is without the identities that `load_market` holds out for `val`; `train_all` is all, as published figures
    are trained.

    Args:
        root: the folder of the set.
        split: `train` or `train_all`.
        pattern: how files are named: see `load_market`.

    Raises:
        ValueError: as `load_market`, and when no identity is left.
    """
    if split not in ("train", "train_all"):
        raise ValueError(f"{root}: split {split!r} is not for training; train or train_all is right")
    folders = _open(root, pattern)
    people = folders.read(folders.layout.train).known(root)
    if split == "train":
        people, _ = hold_out(people)
    if not people.sightings.names:
        raise ValueError(
            f"{root}: {folders.layout.train} shows one identity, held out for validation; train_all is right"
        )
    return to_train(root, people)


def _open(root: Path, pattern: str | None) -> _Folders:
    layout = _layout_of(root)
    return _Folders(root, layout, name_rule(pattern) if pattern is not None else _recognise(root, layout))


def _layout_of(root: Path) -> _Layout:
    return _VERI if _inside(root, _VERI.test) or _inside(root, _VERI.train) else _MARKET


def _recognise(root: Path, layout: _Layout) -> NameRule:
    """Return the rule that the names of the set keep: VeRi's by its folders, others by all names of the queries.

    DukeMTMC-reID is read by the rule of Market-1501, which its names keep, too.
    """
    if layout is _VERI:
        return PRESETS["veri"]
    market = PRESETS["market1501"]
    folder = next((each for each in (layout.query, layout.train) if _inside(root, each) is not None), None)
    names = _list(root, folder, market).names if folder else []
    others = (PRESETS[name] for name in ("cuhk03", "msmt17"))
    return next((rule for rule in others if names and rule.fits(names) and _is_certain(rule, names)), market)


def _is_certain(rule: NameRule, names: list[str]) -> bool:
    """Return whether names say more than that they are by the rule: those of CUHK03 are by Market-1501's, too."""
    return not PRESETS["market1501"].fits(names) or all(name.lower().endswith(".png") for name in names)


def _list(root: Path, folder: str, rule: NameRule) -> Listing:
    """List a folder. Of Market-1501 only .jpg counts, unless there is none."""
    inside = _find(root, folder)
    if rule.name != "market1501":
        return list_folder(root, inside)
    return list_published(root / inside, depth=0).below(inside)


def _inside(root: Path, folder: str) -> str | None:
    """Return the name below `root` of a folder that lies there or in a folder that an archive makes; None without."""
    names = (f"{inner}/{folder}" if inner else folder for inner in _INNER)
    return next((name for name in names if (root / name).is_dir()), None)


def _find(root: Path, folder: str) -> str:
    inside = _inside(root, folder)
    if inside is None:
        raise ValueError(f"{root} holds no {folder}/; it must lie there or in {_INNER[1]}/")
    return inside


def _find_sign(path: Path) -> Path | None:
    """Return the folder of the database, in `path` or in the inner folder that the archive makes."""
    found = (_inside(path, layout.test) for layout in (_MARKET, _VERI))
    return next((path / inside for inside in found if inside is not None), None)


def _with_distractors(path: Path, source: Source) -> Source:
    """Return the source with the distractors of the test split, where `images/` lies beside the sign."""
    sign = _find_sign(path)
    fetched = source.split == "test" and sign is not None and (sign.parent / _DISTRACTORS).is_dir()
    return source.model_copy(update={"distractors": _DISTRACTORS}) if fetched else source


def _load(path: Path, split: str, source: Source) -> RetrievalSet:
    if source.distractors not in (None, _DISTRACTORS):
        raise ValueError(
            f"{path}: distractors are {source.distractors!r}; those of Market-1501 are its 'images' folder"
        )
    return load_market(path, split, distractors=source.distractors is not None, pattern=source.pattern)


def _load_training(path: Path, split: str, source: Source) -> TrainingSet:
    return load_market_training(path, split, source.pattern)


FORMAT = Format(
    name="market1501",
    title="Market-1501 layout",
    layout="bounding_box_train/, bounding_box_test/ and query/, or VeRi's image_train/, image_test/ and image_query/",
    find_sign=_find_sign,
    queries=Reading(_load, "test", fixed_splits("test", "val")),
    training=Reading(_load_training, "train", fixed_splits("train", "train_all")),
    precedence=30,
    distractors=Distractors.READ_BY_FORMAT,
    has_patterns=True,
    class_noun="identities",
    set_names={"DukeMTMC-reID": "DukeMTMC-reID", "VeRi": "VeRi-776", "cuhk03-np": "CUHK03"},
    complete=_with_distractors,
)

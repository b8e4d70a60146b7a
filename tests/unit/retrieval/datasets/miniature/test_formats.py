"""Every format is written small and read back by the loader that reads the published set."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.datasets.base import Query, RetrievalSet, TrainingSet
from retrieval.datasets.distractors import FLICKR_UNREADABLE, load_flickr100k, load_revisitop1m
from retrieval.datasets.format import Source
from retrieval.datasets.formats.gnd import load_gnd
from retrieval.datasets.formats.oxford import PARIS_CORRUPT
from retrieval.datasets.miniature.formats.drawn import Drawn, DrawnPlace, place_of, read_drawn
from retrieval.datasets.miniature.formats.registry import WRITERS
from retrieval.datasets.miniature.mini import MiniSettings, write_mini
from retrieval.datasets.registry import open_retrieval, open_training
from retrieval.datasets.safe_readers.matlab import read_struct

SMALL = MiniSettings(
    image_size=32,
    training_places=14,
    views=4,
    places=3,
    queries_per_place=2,
    positives=8,  # so that a query's camera comes round again among the others
    junk=1,
    distractors=6,
    places_per_street=2,
)


@dataclass(frozen=True)
class Sources:
    """The three data sets of a sweep over one format."""

    train: Source
    val: Source
    test: Source


SFM = "train/retrieval-SfM-120k"


def _landmarks(test: str, distractors: str | None = None) -> Sources:
    return Sources(Source(path=SFM), Source(path=SFM), Source(path=f"test/{test}", distractors=distractors))


def _splits(path: str) -> Sources:
    return Sources(Source(path=path), Source(path=path, split="val"), Source(path=path))


SOURCES = {
    "oxford5k": _landmarks("oxford5k"),
    "paris6k": _landmarks("paris6k"),
    "oxford105k": _landmarks("oxford5k", "test/flickr100k"),
    "paris106k": _landmarks("paris6k", "test/flickr100k"),
    "roxford5k": _landmarks("roxford5k", "test/revisitop1m"),
    "rparis6k": _landmarks("rparis6k", "test/revisitop1m"),
    "market1501": _splits("."),
    "pitts30k": _splits("pitts30k"),
    "pitts250k": _splits("pitts250k"),
    "tokyo247": Sources(
        Source(path="tokyoTM"), Source(path="tokyoTM", split="val"), Source(path="tokyo247", panoramas=True)
    ),
    "utm": _splits("town"),
    "sfm": _landmarks("oxford5k"),
    "folders": Sources(Source(path="train"), Source(path="val"), Source(path="test")),
    "manifest": _splits("."),
}


class Benchmarks:
    """Each format is written once, when it is asked for first; `names` tells what an image of any of them shows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mini = self.root("mini")
        self._names = {_pixels(path): path.stem for path in self.mini.rglob("*.jpg")}

    def root(self, format: str) -> Path:
        out = self.folder / format
        write_mini(out, settings=SMALL, format=format)
        return out

    @property
    def drawn(self) -> Drawn:
        return read_drawn(self.mini)

    def name(self, path: Path) -> str:
        return self._names[_pixels(path)]

    def names(self, paths: Iterable[Path]) -> set[str]:
        return {self.name(path) for path in paths}


def _pixels(path: Path) -> str:
    with Image.open(path) as image:
        return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


@pytest.fixture(scope="module")
def benchmarks(tmp_path_factory: pytest.TempPathFactory) -> Benchmarks:
    return Benchmarks(tmp_path_factory.mktemp("formats"))


def test_every_format_that_is_written_is_read_here() -> None:
    assert set(SOURCES) == set(WRITERS)


@pytest.mark.parametrize("format", SOURCES)
def test_the_same_seed_writes_the_same_bytes(benchmarks: Benchmarks, tmp_path: Path, format: str) -> None:
    write_mini(tmp_path / "again", settings=SMALL, format=format)
    first, again = (
        {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (benchmarks.root(format), tmp_path / "again")
    )
    assert first == again
    # Two are often written within a second, which is how exactly scipy's header tells the time.
    assert not [name for name, content in first.items() if name.endswith(".mat") and b"Created on" in content]


def _stems(paths: Iterable[Path]) -> set[str]:
    return {path.stem for path in paths}


def _answers(place: DrawnPlace) -> set[str]:
    return _stems((*place.good, *place.ok))


def _check_query(found: RetrievalSet, query: Query, place: DrawnPlace, benchmarks: Benchmarks) -> None:
    """What is drawn of the place, changed as the protocol of the format says."""
    asked, junk = benchmarks.name(query.path), _stems(place.junk)
    positives = benchmarks.names(found.images[index] for index in query.positives)
    ignored = benchmarks.names(found.images[index] for index in query.junk)
    if found.protocol == "classic" and query.box is not None:
        assert (positives, ignored) == (_answers(place), junk)
    elif found.protocol == "revisited":
        hard = benchmarks.names(found.images[index] for index in query.hard)
        assert (positives, ignored) == (_stems(place.answers), junk)
        assert hard == _stems(place.ok) - _stems(place.asked)
    elif found.protocol == "market":
        assert positives | ignored == _stems(place.answers)
        assert positives
        assert ignored
    else:
        assert positives in (_stems(place.answers), _answers(place) - {asked})
        assert ignored in (set(), {asked}, {asked} | junk)


@pytest.mark.parametrize("format", SOURCES)
def test_the_ground_truth_read_back_is_that_of_the_drawings(benchmarks: Benchmarks, format: str) -> None:
    found = open_retrieval(benchmarks.root(format), SOURCES[format].test)
    places = {place.name: place for place in benchmarks.drawn.test.places}
    for query in found.queries:
        _check_query(found, query, places[place_of(Path(benchmarks.name(query.path) + ".jpg"))], benchmarks)
    asked = benchmarks.names(query.path for query in found.queries)
    views = _answers if format == "folders" else lambda place: _stems(place.asked)
    assert asked == {name for place in places.values() for name in views(place)}


@pytest.mark.parametrize("format", SOURCES)
def test_every_distractor_is_in_the_database(benchmarks: Benchmarks, format: str) -> None:
    found = open_retrieval(benchmarks.root(format), SOURCES[format].test)
    distractors = {place.good[0].stem for place in benchmarks.drawn.test.distractors}
    assert distractors <= benchmarks.names(found.images)


@pytest.mark.parametrize("format", sorted(set(SOURCES) - {"market1501"}))
def test_the_queries_to_select_on_are_those_of_the_validation_places(benchmarks: Benchmarks, format: str) -> None:
    found = open_retrieval(benchmarks.root(format), SOURCES[format].val)
    places = {place.name: place for place in benchmarks.drawn.val.places}
    for query in found.queries:
        _check_query(found, query, places[place_of(Path(benchmarks.name(query.path) + ".jpg"))], benchmarks)
    assert {place for place in places if any(place in benchmarks.name(query.path) for query in found.queries)} == set(
        places
    )


@pytest.mark.parametrize("format", SOURCES)
def test_a_class_to_train_on_is_one_place_and_so_is_a_pair(benchmarks: Benchmarks, format: str) -> None:
    found = open_training(benchmarks.root(format), SOURCES[format].train)
    shown = [place_of(Path(benchmarks.name(path) + ".jpg")) for path in found.images]
    for label in range(len(found.classes)):
        assert len({shown[index] for index in np.flatnonzero(found.labels == label)}) == 1
    for query, positive in found.pairs_P2 if found.pairs_P2 is not None else ():
        assert shown[query] == shown[positive]
    assert {place.name for place in benchmarks.drawn.training} - set(shown) == _held_out(format, benchmarks)


def _held_out(format: str, benchmarks: Benchmarks) -> set[str]:
    """Of Market-1501's training identities every 7th is asked about; here the first 14 are training places."""
    return {benchmarks.drawn.training[number].name for number in (0, 7)} if format == "market1501" else set()


def test_training_pairs_are_there_where_the_format_has_them(benchmarks: Benchmarks) -> None:
    counts = {}
    for format, sources in SOURCES.items():
        pairs = open_training(benchmarks.root(format), sources.train).pairs_P2
        counts[format] = 0 if pairs is None else len(pairs)
    assert counts["sfm"] == SMALL.training_places * (SMALL.views - 1)
    assert counts["pitts30k"] == counts["utm"] == SMALL.training_places * 2  # the last of three views is 12 m away
    assert counts["tokyo247"] == SMALL.training_places * 12


def test_the_text_files_the_pickle_and_the_mat_file_say_the_same(benchmarks: Benchmarks) -> None:
    for format in ("oxford5k", "paris6k"):
        folder = benchmarks.root(format) / "test" / format
        text = open_retrieval(benchmarks.root(format), SOURCES[format].test)
        pickled = load_gnd(folder)
        kept = (folder / f"gnd_{format}.pkl").read_bytes()
        (folder / f"gnd_{format}.pkl").unlink()
        matlab = load_gnd(folder)
        (folder / f"gnd_{format}.pkl").write_bytes(kept)
        for other in (pickled, matlab):
            assert _told(other) == _told(text)


def _told(found: RetrievalSet) -> list[tuple[object, ...]]:
    images = [path.name for path in found.images]
    return [
        (
            query.path.name,
            np.round(query.box or (), 2).tolist(),
            [images[index] for index in query.positives],
            [images[index] for index in query.junk],
        )
        for query in found.queries
    ]


def test_paris_holds_its_twenty_corrupt_files_which_no_database_does(benchmarks: Benchmarks) -> None:
    root = benchmarks.root("paris6k") / "test" / "paris6k"
    corrupt = [path for path in (root / "jpg").rglob("*.jpg") if path.stem in PARIS_CORRUPT]
    assert len(corrupt) == 20
    assert all(path.read_bytes().startswith(b"<!DOCTYPE HTML") for path in corrupt)
    assert len((root / "corrupt.txt").read_text().splitlines()) == 20
    found = open_retrieval(benchmarks.root("paris6k"), SOURCES["paris6k"].test)
    assert len(found.images) == SMALL.database_images


def test_the_larger_benchmarks_share_the_distractors_out(benchmarks: Benchmarks) -> None:
    half = SMALL.distractors // 2
    flickr = load_flickr100k(benchmarks.root("oxford105k") / "test" / "flickr100k")
    assert len(flickr) == half
    assert all((flickr.root / file).is_file() for file in FLICKR_UNREADABLE)
    million = load_revisitop1m(benchmarks.root("roxford5k") / "test" / "revisitop1m")
    assert len(million) == half
    alone = open_retrieval(benchmarks.root("roxford5k"), Source(path="test/roxford5k"))
    assert len(alone.images) == SMALL.database_images - SMALL.queries - half


def test_oxfords_query_files_have_their_prefix_and_a_list_its_repeated_line(benchmarks: Benchmarks) -> None:
    gt = benchmarks.root("oxford5k") / "test" / "oxford5k" / "gt"
    assert all(path.read_text().startswith("oxc1_") for path in gt.glob("*_query.txt"))
    lines = next(iter(sorted(gt.glob("*_good.txt")))).read_text().splitlines()
    assert len(lines) == len(set(lines)) + 1
    paris = benchmarks.root("paris6k") / "test" / "paris6k" / "gt"
    assert all(path.read_text().startswith("paris_") for path in paris.glob("*_query.txt"))


def test_market_has_junk_background_a_thumbs_file_and_more_distractors(benchmarks: Benchmarks) -> None:
    root = benchmarks.root("market1501") / "Market-1501-v15.09.15"
    people = [path.name.split("_")[0] for path in (root / "bounding_box_test").glob("*.jpg")]
    assert people.count("-1") == SMALL.places * SMALL.junk
    assert people.count("0000") == SMALL.distractors
    assert (root / "bounding_box_test" / "Thumbs.db").is_file()
    plain = open_retrieval(benchmarks.root("market1501"), Source())
    more = open_retrieval(benchmarks.root("market1501"), Source(distractors="images"))
    assert len(more.images) - len(plain.images) == SMALL.distractors
    assert len(list((root / "gt_query").glob("*_good.mat"))) == len(plain.queries) == SMALL.queries


def test_market_selects_on_every_seventh_training_identity(benchmarks: Benchmarks) -> None:
    root = benchmarks.root("market1501")
    val = open_retrieval(root, Source(split="val"))
    train, whole = (open_training(root, Source(split=split)) for split in ("train", "train_all"))
    assert isinstance(whole, TrainingSet)
    assert len(whole.classes) == SMALL.training_places + SMALL.places == 17
    assert len(train.classes) == 14
    assert not benchmarks.names(train.images) & benchmarks.names(val.images)


def test_the_mat_files_of_places_have_the_published_fields(benchmarks: Benchmarks) -> None:
    head, tail = ["whichSet", "dbImageFns", "utmDb"], ["numImages", "numQueries", "posDistThr", "posDistSqThr"]
    pitts = read_struct(benchmarks.root("pitts30k") / "pitts30k" / "datasets" / "pitts30k_val.mat", "dbStruct")
    assert list(pitts) == [*head, "qImageFns", "utmQ", *tail, "nonTrivPosDistSqThr"]
    tokyo = read_struct(benchmarks.root("tokyo247") / "tokyoTM" / "datasets" / "tokyoTM_val.mat", "dbStruct")
    assert list(tokyo)[:7] == [*head, "dbTimeStamp", "qImageFns", "utmQ", "qTimeStamp"]


def test_tokyo_has_panoramas_of_twelve_that_lie_on_disk_as_png(benchmarks: Benchmarks) -> None:
    found = open_retrieval(benchmarks.root("tokyo247"), SOURCES["tokyo247"].test)
    assert found.panorama == 12
    assert len(found.images) % 12 == 0
    assert {path.suffix for path in found.images} == {".png"}
    assert found.coordinates is not None
    spots = found.coordinates[0].reshape(-1, 12, 2)
    assert np.all(spots == spots[:, :1])


def test_places_stand_a_hundred_metres_apart_and_their_views_within_twelve(benchmarks: Benchmarks) -> None:
    found = open_retrieval(benchmarks.root("utm"), SOURCES["utm"].test)
    assert found.coordinates is not None
    shown = np.array([place_of(Path(benchmarks.name(path) + ".jpg")) for path in found.images])
    metres_NN = np.linalg.norm(found.coordinates[0][:, None] - found.coordinates[0][None], axis=2)
    same_NN = shown[:, None] == shown[None]
    assert metres_NN[same_NN].max() <= 24.0
    assert metres_NN[~same_NN].min() > 100.0

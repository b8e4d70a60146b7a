"""Market-1501: persons by number, seen by six cameras; here houses, whose views are shared out among the cameras."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from retrieval.datasets.miniature.formats.drawn import Drawn, DrawnPlace, copy, move
from retrieval.datasets.miniature.formats.mat import write_mat

_ROOT = "Market-1501-v15.09.15"
_CAMERAS = 6
_JUNK, _BACKGROUND = "-1", "0000"
_DRAWN_BY_HAND, _DETECTED = "00", "01"


@dataclass(frozen=True)
class _Names:
    """A maker of unique names: the frame number goes up from one image to the next."""

    frames: count

    def make(self, person: str, camera: int, box: str) -> str:
        """Return a name such as `0002_c1s1_000451_03.jpg`."""
        return f"{person}_c{camera}s1_{next(self.frames):06d}_{box}.jpg"


def write_market1501(drawn: Drawn, out: Path) -> None:
    """Write the published folders.

    Training and validation places are the training identities, test places the test identities. Views that are
    queries lie in `query/` alone, junk is pid -1, the distractors of the test split are pid 0 and those of the
    validation split the additional distractors of `images/`.
    """
    root, names = out / _ROOT, _Names(count(1))
    for place, person in zip((*drawn.training, *drawn.val.places), count(1)):
        _write_views(root / "bounding_box_train", (*place.good, *place.ok), f"{person:04d}", 1, names)
    first = len(drawn.training) + len(drawn.val.places) + 1
    for place, person in zip(drawn.test.places, count(first)):
        _write_person(root, place, f"{person:04d}", names)
    for folder, split in (("bounding_box_test", drawn.test), ("images", drawn.val)):
        for number, place in enumerate(split.distractors):
            _write_views(root / folder, place.good, _BACKGROUND, number + 1, names)
    # As published: Windows has left its cache of previews in the folder.
    (root / "bounding_box_test" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    _write_matlab_lists(root)


def _write_person(root: Path, place: DrawnPlace, person: str, names: _Names) -> None:
    for camera, view in enumerate(place.asked, start=1):
        name = names.make(person, _camera(camera), _DRAWN_BY_HAND)
        copy(view, root / "gt_bbox" / name)
        move(view, root / "query" / name)
    # Cameras go on from those of the queries, and come round to them: each query has views of its own camera, too.
    after = len(place.queries) + 1
    _write_views(root / "bounding_box_test", place.answers, person, after, names)
    _write_views(root / "bounding_box_test", place.junk, _JUNK, after, names)


def _write_views(folder: Path, views: Iterable[Path], person: str, first_camera: int, names: _Names) -> None:
    for camera, view in enumerate(views, start=first_camera):
        move(view, folder / names.make(person, _camera(camera), _DETECTED))


def _camera(number: int) -> int:
    return (number - 1) % _CAMERAS + 1


def _write_matlab_lists(root: Path) -> None:
    """Write `gt_query/<query>_{good,junk}.mat`: indices of answers in the sorted database, counted from 1."""
    folder = root / "gt_query"
    folder.mkdir()
    database = [
        name.split("_")[:2] for name in sorted(path.name for path in (root / "bounding_box_test").glob("*.jpg"))
    ]
    for query in sorted((root / "query").iterdir()):
        person, camera = query.stem.split("_")[:2]
        same = [number for number, (pid, _) in enumerate(database, start=1) if pid == person]
        seen_so = [number for number in same if database[number - 1][1][:2] == camera[:2]]
        junk = [number for number, (pid, _) in enumerate(database, start=1) if pid == _JUNK] + seen_so
        lists = {"good": [number for number in same if number not in seen_so], "junk": sorted(junk)}
        for kind, numbers in lists.items():
            write_mat(folder / f"{query.stem}_{kind}.mat", {f"{kind}_index": np.array([numbers], dtype=np.float64)})

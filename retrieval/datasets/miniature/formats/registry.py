"""The formats that the miniature benchmark can be written in, by name."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from retrieval.datasets.miniature.formats.drawn import Drawn
from retrieval.datasets.miniature.formats.landmarks import (
    write_oxford5k,
    write_oxford105k,
    write_paris6k,
    write_paris106k,
    write_roxford5k,
    write_rparis6k,
)
from retrieval.datasets.miniature.formats.market1501 import write_market1501
from retrieval.datasets.miniature.formats.places import write_pitts, write_tokyo247
from retrieval.datasets.miniature.formats.plain import write_folders, write_manifest
from retrieval.datasets.miniature.formats.utm import write_utm

Writer = Callable[[Drawn, Path], None]
"""A function that moves the drawn images into a new data root for a sweep; images that it leaves are deleted."""

WRITERS: dict[str, Writer] = {
    "oxford5k": write_oxford5k,
    "paris6k": write_paris6k,
    "oxford105k": write_oxford105k,
    "paris106k": write_paris106k,
    "roxford5k": write_roxford5k,
    "rparis6k": write_rparis6k,
    "market1501": write_market1501,
    "pitts30k": partial(write_pitts, name="pitts30k"),
    "pitts250k": partial(write_pitts, name="pitts250k"),
    "tokyo247": write_tokyo247,
    "utm": write_utm,
    "sfm": write_oxford5k,  # whose training half is retrieval-SfM; a sweep over it needs something to report on, too
    "folders": write_folders,
    "manifest": write_manifest,
}

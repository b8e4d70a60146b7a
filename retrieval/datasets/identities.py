"""The part that all re-identification sets share: images with an identity and a camera, split, ranked and trained on.

Letters: N images.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.datasets.base import Identities, Images, Indices, Query, RetrievalSet, TrainingSet
from retrieval.datasets.left_out import LeftOut, Listing
from retrieval.datasets.reid_names import NameRule, Sightings, alike
from retrieval.text import name_few, printable

_HELD_OUT = 7


@dataclass(frozen=True, eq=False)
class Gallery:
    """Images of one folder or list, as the rule of their names tells them.

    Attributes:
        where: the folder or file that they come from, for messages.
        rule: of their names.
        sightings: without junk.
        left_out: files beside them.
    """

    where: str
    rule: NameRule
    sightings: Sightings
    left_out: LeftOut = field(default_factory=LeftOut)

    @classmethod
    def read(cls, where: str, rule: NameRule, root: Path, listed: Listing) -> "Gallery":
        """Read who is seen on each image that was listed; junk is left out.

        Args:
            where: the folder or file that they come from.
            rule: of their names.
            root: that names are relative to.
            listed: names, and files beside them.

        Raises:
            ValueError: names are not by the rule; one line.
        """
        sightings = rule.read(root, listed.names)
        junk = LeftOut.of("junk by their names", sorted(set(listed.names) - set(sightings.names)))
        return cls(where, rule, sightings, listed.left_out + junk)

    def and_then(self, more: "Gallery") -> "Gallery":
        """Return these images and then others; the first keep their indices."""
        return replace(self, sightings=self.sightings.and_then(more.sightings), left_out=self.left_out + more.left_out)

    def only(self, wanted: NDArray[Any]) -> "Gallery":
        """Return some of the images: `wanted` holds their indices, or a boolean for each."""
        return replace(self, sightings=self.sightings.only(wanted))

    def known(self, root: Path) -> "Gallery":
        """Return the images that show somebody, neither background nor strangers.

        Args:
            root: of the set, for the message.

        Raises:
            ValueError: none does; one line.
        """
        nobody_N = self.rule.shows_nobody(self.sightings)
        known = self.only(~nobody_N)
        if not known.sightings.names:
            raise ValueError(
                f"{root}: {self.where} shows nobody, all identities are junk or background; identities to tell apart "
                "are needed"
            )
        unknown = LeftOut.of("that show nobody", self.only(nobody_N).sightings.names)
        return replace(known, left_out=self.left_out + unknown)


def to_rank(name: str, root: Path, database: Gallery, queries: Gallery, kept_in: Path | None = None) -> RetrievalSet:
    """Return database and queries: right answers show the query's identity by another camera.

    Images of it by the query's own camera are junk, the query itself among them where it is in the database.

    Args:
        name: of the set.
        root: that names are relative to.
        database: in the set's order, without junk.
        queries: each named by its file's name without suffix.
        kept_in: the folder in which an identity has one name, where that is not the root.

    Raises:
        ValueError: a query shows nobody, or two have one name; one line.
    """
    asked = queries.sightings
    nobody = [asked.names[index] for index in np.flatnonzero(queries.rule.shows_nobody(asked))]
    if nobody:
        shown = name_few([printable(query) for query in nobody])
        raise ValueError(f"{root}: {len(nobody)} queries show nobody: {shown}; pids from 1 on are right")
    cameras_N, cameras_Q = _from_zero(*alike(database.sightings.cameras_N, asked.cameras_N))
    made = [
        Query(
            _stem(query),
            root / query,
            None,
            positives=same[cameras_N[same] != camera],
            junk=same[cameras_N[same] == camera],
        )
        for query, camera, same in zip(asked.names, cameras_Q, _same_identity(database, queries), strict=True)
    ]
    return RetrievalSet(
        name,
        Images(root, database.sightings.names),
        tuple(made),
        protocol="market",
        cameras=(cameras_N, cameras_Q),
        identities=_identities(kept_in or root, _names_of(np.unique(asked.identities_N))),
        left_out=database.left_out + queries.left_out,
    )


def to_train(root: Path, people: Gallery) -> TrainingSet:
    """Return labelled images, an identity a class: in the order of numbers, or of texts where not all are numbers."""
    identities, labels = np.unique(people.sightings.identities_N, return_inverse=True)
    classes = _names_of(identities)
    return TrainingSet(
        Images(root, people.sightings.names),
        labels,
        classes,
        identities=_identities(root, classes),
        left_out=people.left_out,
    )


def _names_of(identities: NDArray[Any]) -> tuple[str, ...]:
    return tuple(f"{each:04d}" if identities.dtype.kind == "i" else str(each) for each in identities)


def _identities(kept_in: Path, names: tuple[str, ...]) -> Identities:
    return Identities(kept_in.resolve(), frozenset(names))


def hold_out(people: Gallery) -> tuple[Gallery, Gallery]:
    """Return the images of every identity but each 7th, and those of each 7th, beginning with the first.

    The second are a validation split of our own, to search by without a look at the test.
    """
    identities_N = people.sightings.identities_N
    held = np.isin(identities_N, np.unique(identities_N)[::_HELD_OUT])
    return people.only(~held), people.only(held)


def first_of_each_camera(people: Gallery) -> Gallery:
    """Return the first image by name of each identity and camera, as queries for all of them."""
    codes = [
        np.unique(each, return_inverse=True)[1] for each in (people.sightings.identities_N, people.sightings.cameras_N)
    ]
    _, first = np.unique(np.stack(codes, axis=1), axis=0, return_index=True)
    # What lies beside the images is counted with them, once.
    return replace(people.only(np.sort(first)), left_out=LeftOut())


def _same_identity(database: Gallery, queries: Gallery) -> list[Indices]:
    """Return, for each query, the database images of its identity."""
    identities_N, identities_Q = alike(database.sightings.identities_N, queries.sightings.identities_N)
    # Stable, so that the images of an identity keep their order.
    order = np.argsort(identities_N, kind="stable")
    starts = np.searchsorted(identities_N[order], identities_Q, side="left")
    ends = np.searchsorted(identities_N[order], identities_Q, side="right")
    return [order[start:end] for start, end in zip(starts, ends, strict=True)]


def _from_zero(cameras_N: NDArray[Any], cameras_Q: NDArray[Any]) -> tuple[Indices, Indices]:
    """Return cameras as integers from 0 on: numbers keep their distances, texts are numbered by the alphabet."""
    both = np.concatenate([cameras_N, cameras_Q])
    numbers = both - both.min(initial=1) if both.dtype.kind == "i" else np.unique(both, return_inverse=True)[1]
    return numbers[: len(cameras_N)], numbers[len(cameras_N) :]


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]

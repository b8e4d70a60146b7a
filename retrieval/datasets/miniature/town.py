"""The addresses of the miniature benchmark: which place stands in which street and belongs to which set."""

from dataclasses import dataclass

_FIRST_WORDS = (
    "amber", "birch", "cedar", "copper", "east", "fern", "granite", "hazel", "iron", "juniper",
    "lower", "maple", "north", "old", "poplar", "river", "silver", "south", "upper", "willow",
)  # fmt: skip
_SECOND_WORDS = (
    "alley", "arcade", "avenue", "bank", "close", "court", "crescent", "gate", "hill", "lane",
    "market", "mews", "parade", "quay", "rise", "road", "row", "square", "walk", "yard",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A house by its address; its appearance follows from a seed, the street and the house number."""

    street: int
    house: int

    @property
    def name(self) -> str:
        """Unique to the place, and with underscores, as `all_souls` has."""
        lap, street = divmod(self.street, len(_FIRST_WORDS) * len(_SECOND_WORDS))
        second, first = divmod(street, len(_FIRST_WORDS))
        road = f"{_FIRST_WORDS[first]}_{_SECOND_WORDS[second]}"
        # The streets beyond the last pair of words take the pairs again, with a number.
        return f"{road}_{self.house:03d}" if lap == 0 else f"{road}_{lap}_{self.house:03d}"


@dataclass(frozen=True)
class Split:
    """The places that one retrieval set queries, and its distractors."""

    places: tuple[Place, ...]
    distractors: tuple[Place, ...]

    @property
    def streets(self) -> frozenset[int]:
        """The streets that any of them stands in."""
        return frozenset(place.street for place in self.places + self.distractors)


@dataclass(frozen=True)
class Town:
    """All places of a benchmark. Training, validation and test have streets of their own."""

    training: tuple[Place, ...]
    val: Split
    test: Split


def lay_out(*, training_places: int, places: int, distractors: int, places_per_street: int) -> Town:
    """Give each place its address; `places` and `distractors` are counted for validation and test each."""
    training = _along_streets(training_places, places_per_street, first_street=0)
    val = _lay_out_split(places, distractors, places_per_street, first_street=training[-1].street + 1)
    test = _lay_out_split(places, distractors, places_per_street, first_street=max(val.streets) + 1)
    return Town(training, val, test)


def _lay_out_split(places: int, distractors: int, per_street: int, first_street: int) -> Split:
    """Lay out a split: half of the distractors are neighbours of the queried places, others have their own streets."""
    asked = _along_streets(places, per_street, first_street)
    streets = asked[-1].street - first_street + 1
    neighbours = tuple(
        Place(first_street + index % streets, per_street + index // streets) for index in range(distractors // 2)
    )
    strangers = _along_streets(distractors - len(neighbours), per_street, first_street + streets)
    return Split(asked, neighbours + strangers)


def _along_streets(count: int, per_street: int, first_street: int) -> tuple[Place, ...]:
    return tuple(Place(first_street + index // per_street, index % per_street) for index in range(count))

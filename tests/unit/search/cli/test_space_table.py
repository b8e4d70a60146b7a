import io

from rich.console import Console

from pruning.graph.groups import PrunableGroup
from search.cli.space_table import space_summary, space_table
from spaces.preset import load_preset
from spaces.space import Space


def group(name: str, width: int = 64, locked: bool = False) -> PrunableGroup:
    return PrunableGroup(name, members=(name,), norms=(), norm_starts=(), width=width, locked=locked, descriptor=locked)


SPACE = Space(
    (group("a"), group("b[0]"), group("thin", 8), group("out", locked=True)),
    load_preset("filters", learning_rate=[1e-4, 1e-2]),
    epochs=3,
    learning_rate=1e-3,
    sensitivity={"a": 0.5, "b[0]": -0.5},
)


def shown(width: int = 140) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as capture:
        console.print(space_table(SPACE))
    return capture.get()


def test_every_dimension_is_a_row_with_range_and_condition():
    rows = {
        cells[0]: cells[1:]
        for line in shown().splitlines()
        if len(cells := [c.strip() for c in line.split("│")[1:-1]]) == 4
    }
    assert rows["method"] == ["plfp, l1, fpgm", "how channels are chosen, and when they go", ""]
    assert rows["tilt"][0] == "0 to 1"
    assert rows["offset:b[0]"][:2] == ["−0.15 to 0.15", "group b[0]: 64 channels, steps of 8"]
    assert rows["decay"][2] == "method plfp"
    assert rows["learning_rate"][0] == "0.0001 to 0.01, logarithmic"


def test_the_summary_counts_and_says_why_groups_keep_all():
    assert space_summary(SPACE) == [
        "7 dimensions, 1 of them in some trials only; 2 of 4 groups may lose channels",
        "whole: thin: at 8 channels it is too narrow for multiples of 8",
        "whole: out: it fixes the descriptor's size",
    ]

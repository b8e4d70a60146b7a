import json
from io import StringIO

from rich.console import Console

from retrieval.datasets.checks.check_sets import DataCheck, SetSummary
from search.cli.data_page import as_json, show_data

CHECK = DataCheck(
    sets=[
        SetSummary("train", "one folder a class", {"images": 96, "classes": 16}, "trained on", "2 files left out: …"),
        SetSummary("[val]", "gnd", {"images": 44, "queries": 8}, "mAP"),
        SetSummary("test", "gnd", {}, "refused"),
    ],
    images=140,
    warnings=["val: few queries"],
    errors={"unreadable image": ["unreadable: a.jpg: damaged"], "refused data set": ["test: gone"]},
)


def shown() -> list[str]:
    console = Console(file=StringIO(), width=100)
    show_data(console, CHECK)
    return console.file.getvalue().splitlines()


def test_counts_come_first_then_warnings_errors_and_what_is_done() -> None:
    lines = shown()
    order = [
        next(number for number, line in enumerate(lines) if part in line)
        for part in (
            "140 image files in 3 sets",
            "train: 2 files left out",
            "warning: val: few queries",
            "error: unreadable: a.jpg: damaged",
            "error: test: gone",
            "what a sweep does with it:",
            "  train (one folder a class): trained on",
        )
    ]
    assert order == sorted(order)


def test_a_row_has_its_own_counts_and_names_are_no_markup() -> None:
    (row,) = [line for line in shown() if "[val]" in line and "44" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["[val]", "44", "", "8"]


def test_a_program_reads_the_same() -> None:
    read = json.loads(as_json(CHECK))
    assert read["sets"][0]["counts"] == {"images": 96, "classes": 16}
    assert read["errors"]["refused data set"] == ["test: gone"]
    assert (read["images"], read["warnings"]) == (140, ["val: few queries"])

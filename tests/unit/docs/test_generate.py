import re
from pathlib import PurePosixPath

from pydantic import BaseModel, Field

from docs.generate.commands_page import all_commands, commands_page
from docs.generate.docstrings import described_keys
from docs.generate.links import for_the_site, relative_links
from docs.generate.markdown import table
from docs.generate.metrics_page import metrics_page
from docs.generate.settings_page import keys_without_text, settings_page
from search.config import SweepConfig
from spaces.preset import PRESET_MODEL
from tracking.record import METRICS


def section(page: str, heading: str) -> str:
    return page.split(f"{heading}\n")[1].split("\n## ")[0]


def test_the_page_of_keys_has_a_section_for_each_of_the_file_and_a_row_for_each_key():
    page = settings_page()
    for name, field in SweepConfig.model_fields.items():
        if not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            assert f"| `{name}` |" in page
            continue
        rows = section(page, f"## `[{name}]`")
        model = PRESET_MODEL if name == "space" else field.annotation
        for key in model.model_fields:
            assert f"| `{key}` |" in rows, (name, key)


def test_a_key_is_shown_with_its_type_its_bounds_and_its_default():
    page = settings_page()
    assert re.search(r"\| `threads` \| whole number ≥ 1 \| `1` \|", section(page, "## `[latency]`"))
    assert re.search(r"\| `level` \| pair of: number ≥ 0, < 1 \| `\[0, 0\]` \|", section(page, "## `[space]`"))
    assert re.search(r"\| `epochs` \| whole number ≥ 1 \| \*\*required\*\* \|", section(page, "## `[finetune]`"))


def test_every_key_of_a_sweep_file_is_explained():
    assert keys_without_text() == []


def test_a_key_whose_values_are_names_lists_them():
    assert "`mobilenet_v3_large`" in section(settings_page(), "## `[network]`")


def test_keys_are_explained_by_description_first_then_by_the_docstring_of_the_class_that_has_them():
    class Parent(BaseModel):
        """Parent.

        Attributes:
            width: kept channels,
                a multiple of 8.
        """

        width: int

    class Child(Parent):
        """Child: of a test.

        depth, height: both of these.
        """

        depth: int
        height: int = Field(description="in pixels")

    found = described_keys(Child)
    assert found.prose == "Child: of a test."
    assert found.keys == {"width": "kept channels, a multiple of 8.", "depth": "both of these.", "height": "in pixels"}


def test_the_page_of_metrics_has_each_key_with_its_sentence():
    page = metrics_page()
    for key, metric in METRICS.items():
        assert re.search(rf"\| `{key}` \| .* \| {re.escape(metric.meaning)} \|", page)


def test_the_page_of_commands_has_each_command_with_its_options_and_an_example():
    page = commands_page()
    for name, command in all_commands().items():
        shown = section(page, f"## {name}")
        assert f"```sh\npython -m search {name} " in shown
        for option in (each.opts[0] for each in command.params):
            assert not option.startswith("--") or f"| `{option}` |" in shown


def test_cells_of_a_table_stay_in_their_column():
    assert table(["a"], [["x | y\nz"]]).splitlines()[-1] == "| x \\| y z |"


def test_links_of_the_repository_become_links_of_the_site():
    text = (
        "[a](docs/search.md#rungs) ![b](docs/pictures/x.png) [c](search/sweeps/) [`d`](pruning/cost.py) [e](http://x)"
    )
    assert for_the_site(text, PurePosixPath("README.md"), PurePosixPath("index.md")) == (
        "[a](search.md#rungs) ![b](pictures/x.png) `c` `d` [e](http://x)"
    )
    page = PurePosixPath("howto/limits.md")
    assert for_the_site("[r](../../README.md)", PurePosixPath("docs") / page, page) == "[r](../index.md)"
    assert relative_links("[a](x.md#y) [b](#here) [c](mailto:me) ![d](e.png)") == ["x.md", "e.png"]

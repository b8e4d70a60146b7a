import re
import shlex
from pathlib import Path

import pytest
from markdown_blocks import ROOT, search_commands
from typer.testing import CliRunner

from retrieval.datasets.miniature.formats.registry import WRITERS
from retrieval.datasets.registry import FORMATS
from search.__main__ import app

DATASETS = ROOT / "docs" / "datasets.md"
PAGE = DATASETS.read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_command_of_the_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [*search_commands(DATASETS), *map(shlex.split, re.findall(r"`(check-data [^`]+)`", PAGE))]
    assert len(commands) == 3
    for command in commands:
        done = CliRunner().invoke(app, command, catch_exceptions=False)
        assert done.exit_code == 0, (command, done.output)


def test_the_page_tells_of_every_format_to_read_and_to_write() -> None:
    for name in FORMATS:
        assert f"| `{name}`" in PAGE
    sentence = PAGE[PAGE.index("`mini` knows") : PAGE.index("the same seed writes")]
    assert re.findall(r"`(\w+)`", sentence)[1:] == ["mini", *WRITERS]

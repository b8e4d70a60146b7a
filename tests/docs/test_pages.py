"""What holds for every page: links lead somewhere, commands and keys exist, paths are there."""

import os
import pydoc
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from markdown_blocks import PAGES, ROOT, blocks, name_of, search_commands, shell_commands

from docs.generate.commands_page import all_commands
from docs.generate.links import relative_links
from search.config import SweepConfig

# Written from the code while the site is built: see docs/generate/hooks.py.
GENERATED = {ROOT / "docs" / "reference" / name for name in ("sweep-file.md", "command-line.md", "metrics.md")}
HISTORY = ROOT / "CHANGELOG.md"

every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def test_the_readme_is_at_most_120_lines():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@every_page
def test_every_relative_link_leads_to_a_file_or_a_generated_page(page: Path):
    targets = [(page.parent / link).resolve() for link in relative_links(page.read_text(encoding="utf-8"))]
    assert [str(target) for target in targets if not target.exists() and target not in GENERATED] == []


@every_page
def test_every_command_is_one_that_the_command_line_takes(page: Path):
    for name, *words in search_commands(page):
        all_commands()[name].make_context(name, words)


@every_page
def test_every_make_target_is_there(page: Path):
    known = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    quoted = re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8"))
    typed = [words[1] for words in shell_commands(page) if words[0] == "make"]
    assert {*quoted, *typed} <= {*known}


@every_page
def test_every_sweep_file_and_every_section_of_one_is_valid(page: Path):
    demo = tomllib.loads((ROOT / "search" / "sweeps" / "demo.toml").read_text())
    for block in blocks(page, "toml"):
        given = tomllib.loads(block.text)
        replaced = {**given.get("space", {}), "preset": given.get("space", {}).get("preset", "filters")}
        sections = {key: {**demo.get(key, {}), **value} for key, value in given.items() if isinstance(value, dict)}
        whole = given if "name" in given else {**demo, **sections, "space": replaced}
        SweepConfig.model_validate(whole).space.resolve()


@every_page
def test_every_path_of_the_repository_is_there(page: Path):
    if page == HISTORY:
        return
    text = page.read_text(encoding="utf-8")
    folders = "pruning|retrieval|spaces|tracking|trainables|search|docs|tests|benchmarks"
    paths = re.findall(rf"`((?:{folders})/[\w./-]*)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


@every_page
def test_a_listing_with_the_path_of_a_file_is_part_of_that_file(page: Path):
    for block in blocks(page, "python"):
        if block.title:
            assert block.text in (ROOT / block.title).read_text(encoding="utf-8"), block.title


def test_the_python_reference_names_what_can_be_imported():
    page = ROOT / "docs" / "reference" / "python.md"
    for name in re.findall(r"^::: ([\w.]+)$", page.read_text(encoding="utf-8"), re.M):
        assert pydoc.locate(name) is not None, name


@pytest.mark.slow
def test_the_site_builds_without_a_dead_link_and_asks_for_nothing_from_outside(tmp_path: Path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        asked = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', page.read_text(encoding="utf-8"))
        assert asked == [], page

"""The documentation as tests read it: its pages, and the blocks of code in them."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.M | re.S)


class Block(NamedTuple):
    """A fenced block: its language, its text, and the file name that it is given; "" without one."""

    language: str
    text: str
    title: str = ""


def name_of(page: Path) -> str:
    """Return a page's path from the repository's root, as pytest shows it."""
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of a page in these languages, or all, in order."""
    found = (
        Block(match["language"], match["text"], match["title"] or "")
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))
    )
    return [block for block in found if not languages or block.language in languages]


def shell_commands(page: Path) -> list[list[str]]:
    """Return the words of every command in a page's shell blocks; lines that end with a backslash are joined."""
    lines = (line for block in blocks(page, "sh") for line in block.text.replace("\\\n", " ").splitlines())
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def search_commands(page: Path) -> list[list[str]]:
    """Return what follows `python -m search` in a page's shell blocks."""
    starts = ["-m", "search"]
    found = []
    for words in shell_commands(page):
        where = [index for index in range(len(words)) if words[index : index + 2] == starts]
        found += [words[index + 2 :] for index in where]
    return found

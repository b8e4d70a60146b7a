"""Relative links of a Markdown file: found, and turned into links of the site."""

import posixpath
import re
from pathlib import PurePosixPath

# [text](target) and ![text](target), but not [text](https://…) or [text](#heading).
_LINK = re.compile(r"(?P<mark>!?)\[(?P<text>[^\]]*)\]\((?P<target>(?!\w+:|#)[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
_AT_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def relative_links(markdown: str) -> list[str]:
    """Return the targets of all relative links and pictures, without their anchors.

    Args:
        markdown: text of a Markdown file.

    Returns:
        Paths as they are written, in order.
    """
    return [match["target"] for match in _LINK.finditer(markdown)]


def for_the_site(markdown: str, source: PurePosixPath, page: PurePosixPath) -> str:
    """Rewrite a file's relative links, which are right in the repository, so that they are right on the site.

    Links to what the site does not hold (source files, folders) become plain text.

    Args:
        markdown: text of the file.
        source: its path from the root of the repository.
        page: its path from the root of the site.

    Returns:
        The text with its links rewritten.
    """

    def rewritten(match: re.Match[str]) -> str:
        target = PurePosixPath(posixpath.normpath(source.parent / match["target"]))
        on_site = _AT_ROOT.get(str(target))
        if on_site is None and target.parts[0] == "docs" and target.suffix in (".md", ".png"):
            on_site = str(target.relative_to("docs"))
        if on_site is None:
            return match["text"] if "`" in match["text"] else f"`{match['text']}`"
        link = posixpath.relpath(on_site, page.parent)
        return f"{match['mark']}[{match['text']}]({link}{match['anchor'] or ''})"

    return _LINK.sub(rewritten, markdown)

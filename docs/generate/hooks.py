"""What mkdocs calls while it builds: adds the generated pages, and mends links for the site."""

from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

from docs.generate.commands_page import commands_page
from docs.generate.links import for_the_site
from docs.generate.metrics_page import metrics_page
from docs.generate.settings_page import settings_page

ROOT = Path(__file__).resolve().parents[2]

# Page of the site → the file at the root of the repository that it shows.
COPIES = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}

# Page of the site → the function that writes it from the code.
GENERATED = {
    "reference/sweep-file.md": settings_page,
    "reference/command-line.md": commands_page,
    "reference/metrics.md": metrics_page,
}


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages that no file in docs/ holds."""
    for page, source in COPIES.items():
        text = for_the_site((ROOT / source).read_text(encoding="utf-8"), PurePosixPath(source), PurePosixPath(page))
        files.append(File.generated(config, page, content=text))
    for page, write in GENERATED.items():
        files.append(File.generated(config, page, content=write()))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Mend the links of a page that lies in docs/."""
    where = page.file.src_uri
    if where in COPIES or where in GENERATED:
        return markdown
    return for_the_site(markdown, PurePosixPath("docs") / where, PurePosixPath(where))

"""Finished runs on disk, so that a benchmark that was interrupted goes on, and never with figures of other code."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks.search.contenders import Contender
from benchmarks.search.problems import ROOT, TABLE
from benchmarks.search.runs import Run
from search.study.budget import Budget
from tracking.files import write_atomically
from tracking.provenance import provenance

_SOURCES = (
    "pruning",
    "spaces",
    "search/halving",
    "search/simulation",
    "search/study",
    "trainables/simulation",
    "benchmarks/search/contenders.py",
    "benchmarks/search/rivals.py",
    "benchmarks/search/runs.py",
)
"""Where a change can change a run; a run of other files is made again."""
_LIBRARIES = ("python", "optuna", "numpy")


class KeptRun(BaseModel):
    """A run, and what it follows from.

    work: contender and budget, in words. source: a digest of the files in which a change can change it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    work: str
    source: str
    provenance: dict[str, str]
    run: Run


@dataclass
class KeptRuns:
    """The runs in a folder: problem/contender/seed.json.

    folder: of them.
    any_source: whether runs of other code or libraries count too.
    commits: those that the runs are of, as far as they were asked for; more than one is to be said.
    """

    folder: Path
    any_source: bool = False
    commits: set[str] = field(default_factory=set)

    def get(
        self, problem: str, name: str, seed: int, contender: Contender, budget: Budget, make: Callable[[], Run]
    ) -> Run:
        """The run that is kept, made and written where there is none that fits."""
        path = self.folder / problem / name.replace(" ", "_") / f"{seed}.json"
        work = f"{replace(contender, meaning='')} {budget}"
        kept = _read(path)
        if kept is None or kept.work != work or not (self.any_source or _is_of_now(kept)):
            kept = KeptRun(work=work, source=source_digest(), provenance=_made_by(), run=make())
            write_atomically(path, kept.model_dump_json())
        self.commits.add(kept.provenance["git_commit"])
        return kept.run


@cache
def source_digest() -> str:
    """A digest of all that a run follows from, the table of recorded trials included."""
    files = [path for source in _SOURCES for path in _files(ROOT / source)]
    digest = hashlib.sha256()
    for path in [*files, TABLE]:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0")
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()[:16]


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    return sorted(path for path in source.rglob("*") if path.suffix in (".py", ".toml"))


def _read(path: Path) -> KeptRun | None:
    """A file of another form is none."""
    try:
        return KeptRun.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _made_by() -> dict[str, str]:
    return provenance(threads="1", numpy=np.__version__)


def _is_of_now(kept: KeptRun) -> bool:
    now = _made_by()
    return kept.source == source_digest() and all(kept.provenance.get(name) == now[name] for name in _LIBRARIES)

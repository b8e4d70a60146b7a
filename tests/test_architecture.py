"""Who may import whom: the rules of docs/architecture.md, read off the source."""

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from search.cli.package_check import PACKAGES, check_names

ROOT = Path(__file__).resolve().parent.parent

OURS = {
    "pruning": set(),
    "retrieval": set(),
    "spaces": {"pruning"},
    "tracking": {"pruning"},
    "trainables": {"pruning", "retrieval", "spaces", "tracking"},
    "search": {"pruning", "retrieval", "spaces", "tracking", "trainables"},
}
THEIRS = {
    "ray": ["trainables/", "search/"],
    "optuna": ["search/"],
    "mlflow": ["tracking/"],
    "torch_pruning": ["pruning/graph/groups.py", "pruning/surgery.py"],
    "faiss": ["retrieval/", "trainables/threads.py"],
}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_it_may(package: str):
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(package)
        for name in imported(path) & set(PACKAGES)
        if name != package and name not in OURS[package]
    }
    assert wrong == set()


@pytest.mark.parametrize("library", THEIRS)
def test_a_library_is_imported_only_where_it_belongs(library: str):
    users = {
        str(path.relative_to(ROOT)) for package in PACKAGES for path in sources(package) if library in imported(path)
    }
    assert users, f"nothing imports {library}: the rule has outlived its reason"
    assert {user for user in users if not any(user.startswith(place) for place in THEIRS[library])} == set()


def test_the_trial_itself_knows_no_ray():
    for name in ("trial", "training", "baseline", "data", "folder", "evaluate_trial", "settings", "threads"):
        assert "ray" not in imported(ROOT / "trainables" / f"{name}.py"), name


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_named_after_a_library(package: str):
    libraries = set(packages_distributions()) | set(sys.stdlib_module_names)
    # Names that a package's files share with some installed helper of a helper, never imported by us.
    named = (
        {path.stem for path in sources(package)} & libraries & {name for p in sources(package) for name in imported(p)}
    )
    assert named - {"__init__"} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_an_init_holds_a_docstring_and_nothing_else(package: str):
    for init in (ROOT / package).rglob("__init__.py"):
        body = ast.parse(init.read_text()).body
        assert len(body) == 1, init
        assert ast.get_docstring(ast.parse(init.read_text())), init


def test_the_names_resolve_to_this_repository():
    check_names()
    assert Path(sys.modules["search"].__file__ or "").parent.parent == ROOT

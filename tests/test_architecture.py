"""Who may import whom, between the packages and inside them, and how full a folder may be: read off the source.

The rules are those of docs/architecture.md.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from itertools import pairwise
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
    "mlflow": ["tracking/mlflow_runs/"],
    "torch_pruning": ["pruning/graph/groups.py", "pruning/surgery.py"],
    "faiss": ["retrieval/", "trainables/threads.py"],
}
# Folders inside a package that may import each other all the same: (from, to) and why.
BETWEEN_FOLDERS = {
    ("datasets", "evaluation"): "which images lie within 25 m of a query is a rule of the protocol: evaluation.metrics",
}
MOST_FILES = 20  # beside each other in a folder: more, and nobody new finds the right one
FEWEST_LINES = 21
# Shorter files, each with the reason that it stands alone.
SHORT = {
    "search/cli/arguments.py": "a table: options that several commands share",
}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@cache
def our_modules() -> dict[str, Path]:
    return {module_name(path): path for package in PACKAGES for path in sources(package)}


def imported(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def imported_modules(path: Path) -> set[str]:
    """Our modules that a file imports, anywhere in it: also late, and also for types alone."""
    names = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names & our_modules().keys()


def late_imports(path: Path) -> Iterator[ast.stmt]:
    """Imports that do not run when the module is imported: inside a function, or for types alone."""
    tree = tree_of(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        ):
            yield from (each for each in ast.walk(node) if isinstance(each, ast.Import | ast.ImportFrom))


def circle_in(graph: dict[str, set[str]]) -> str | None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " -> ".join(error.args[1])
    return None


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


def test_no_module_imports_itself_by_way_of_others():
    assert circle_in({name: imported_modules(path) for name, path in our_modules().items()}) is None


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_of_a_package_imports_a_neighbour_that_imports_it(package: str):
    """Folders inside a package stand in an order; files at its root may stand above some and below others."""
    graph: dict[str, set[str]] = {}
    for path in sources(package):
        here = path.relative_to(ROOT / package).parts
        for name in imported_modules(path):
            there = our_modules()[name].relative_to(ROOT).parts
            inside = there[0] == package and len(here) > 1 and len(there) > 2 and here[0] != there[1]
            if inside and (here[0], there[1]) not in BETWEEN_FOLDERS:
                graph.setdefault(here[0], set()).add(there[1])
    assert circle_in(graph) is None


@pytest.mark.parametrize("package", PACKAGES)
def test_a_late_import_says_that_it_saves_start_up_time(package: str):
    """On its line, or above the block that it stands in, or once at the left margin for the whole file."""
    silent = []
    for path in sources(package):
        lines = path.read_text().splitlines()
        if any(line.startswith("#") and "start-up" in line for line in lines):
            continue
        numbers = sorted({node.lineno for node in late_imports(path)})
        said = {number for number in numbers if "start-up" in lines[number - 1] or "start-up" in lines[number - 2]}
        for before, number in pairwise(numbers):
            if number == before + 1 and before in said:
                said.add(number)
        silent += [f"{path.relative_to(ROOT)}:{number}" for number in numbers if number not in said]
    assert silent == []


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_of_ours_is_imported_for_types_alone(package: str):
    """Such an import hides a circle: what a type is needed of can be imported, or stands in the wrong file."""
    hidden = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(package)
        for guard in ast.walk(tree_of(path))
        if isinstance(guard, ast.If) and "TYPE_CHECKING" in ast.unparse(guard.test)
        for node in ast.walk(guard)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES
    ]
    assert hidden == []


def test_the_trial_itself_knows_no_ray():
    for name in ("trial", "training", "baseline", "data", "folder", "evaluate_trial", "settings", "threads"):
        assert "ray" not in imported(ROOT / "trainables" / f"{name}.py"), name


def test_no_folder_holds_more_files_than_a_newcomer_can_look_through():
    folders = [ROOT / name for name in (*PACKAGES, "tests", "benchmarks")]
    folders += [path for folder in folders for path in folder.rglob("*") if path.is_dir()]
    counts = {folder: sum(path.name != "__init__.py" for path in folder.glob("*.py")) for folder in folders}
    assert {str(folder.relative_to(ROOT)): count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_a_very_short_file_is_a_table_or_a_protocol():
    short = {
        str(path.relative_to(ROOT))
        for path in our_modules().values()
        if path.name != "__init__.py" and len(path.read_text().splitlines()) < FEWEST_LINES
    }
    assert short == set(SHORT)


def test_the_unit_tests_lie_as_what_they_test_does():
    """tests/unit/search/study/test_budget.py tests search/study/budget.py; a longer name says which side of it."""
    astray = []
    for path in (ROOT / "tests" / "unit").rglob("test_*.py"):
        folder = path.parent.relative_to(ROOT / "tests" / "unit")
        tested = {each.stem for each in (ROOT / folder).glob("*") if each.name != "__init__.py"}
        name = path.stem.removeprefix("test_")
        if not any(name == module or name.startswith(f"{module}_") for module in tested):
            astray.append(str(path.relative_to(ROOT)))
    assert astray == []


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
        body = tree_of(init).body
        assert len(body) == 1, init
        assert ast.get_docstring(tree_of(init)), init


def test_the_names_resolve_to_this_repository():
    check_names()
    assert Path(sys.modules["search"].__file__ or "").parent.parent == ROOT

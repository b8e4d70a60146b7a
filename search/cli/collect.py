"""The commands in `search/cli/commands/`, collected from its files: a new command is a new file there."""

import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module

import search.cli.commands

# In the order in which a user needs them, as `--help` lists them; any other command comes after these, by name.
_ORDER = (
    "mini",
    "check_data",
    "train",
    "sweep",
    "space",
    "sensitivity",
    "front",
    "pick",
    "export",
    "verify",
    "describe",
)


def commands() -> Iterator[tuple[str, Callable[..., None]]]:
    """Yield each command as it is typed, with the function that runs it.

    Yields:
        The file's name with hyphens for underscores, and the function in that file that bears its name.
    """
    package = search.cli.commands
    for name in sorted((module.name for module in pkgutil.iter_modules(package.__path__)), key=_position):
        yield name.replace("_", "-"), getattr(import_module(f"{package.__name__}.{name}"), name)


def _position(name: str) -> tuple[int, str]:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER), name

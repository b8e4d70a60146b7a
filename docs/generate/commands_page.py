"""The page of the command line, from the Typer app itself."""

from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from typer.core import TyperArgument, TyperCommand, TyperGroup
from typer.main import get_command

from docs.generate.markdown import table
from search.__main__ import app

_INTRODUCTION = """# Command line

`python -m search COMMAND`, from the project's environment; also installed as `prunefront`. Each command has `--help`.
Exit codes: 0 on success, 1 on failure, 2 with one line on bad input. This page is generated from the commands.
"""
_WORDS = {int: "whole number", float: "number", str: "text", Path: "path", bool: ""}


def commands_page() -> str:
    """Return the page as Markdown."""
    parts = [_INTRODUCTION]
    for name, command in all_commands().items():
        parts += [f"## {name}\n", _help(command)]
        arguments = [str(each.metavar) for each in command.params if isinstance(each, TyperArgument)]
        parts.append(f"```text\npython -m search {' '.join([name, *arguments])} [OPTIONS]\n```\n")
        types = get_type_hints(command.callback)
        rows = [_row(each, types[str(each.name)]) for each in command.params]
        parts.append(table(["argument", "value", "default", "meaning"], rows))
    return "\n".join(parts)


def all_commands() -> dict[str, TyperCommand]:
    """Return every command by its name."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    return {name: command for name, command in group.commands.items() if isinstance(command, TyperCommand)}


def _help(command: TyperCommand) -> str:
    """Return the help text, its example as a block of shell."""
    text, _, example = (command.help or "").partition("Example: ")
    block = f"\n```sh\n{example.strip()}\n```\n" if example else ""
    return text.strip() + "\n" + block


def _row(parameter: Any, annotation: Any) -> list[str]:
    is_argument = isinstance(parameter, TyperArgument)
    name = str(parameter.metavar) if is_argument else parameter.opts[0]
    many = bool(getattr(parameter, "multiple", False))
    value = (parameter.metavar or "text") + ", repeatable" if many else _WORDS[_plain(annotation)]
    default = "**required**" if parameter.required else _default(parameter.default)
    return [f"`{name}`", value, default, parameter.help or ""]


def _plain(annotation: Any) -> Any:
    """Return the type without None."""
    kept = [each for each in get_args(annotation) if each is not NoneType]
    return kept[0] if kept else annotation


def _default(value: object) -> str:
    return "–" if value in (None, False, ()) else f"`{value}`"

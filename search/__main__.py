"""The command line: `python -m search COMMAND`, also installed as `prunefront`.

Exits 0 on success, 2 with one line on bad input, 1 on failure. Each command is a file in `search/cli/commands/`.
"""

import sys
from io import TextIOWrapper

import typer

from search.cli.collect import commands
from search.cli.package_check import check_names
from search.errors import GO_ON, BadInputError, FailedError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Search how to compress an image-retrieval network: speedup against mAP.",
)
for _name, _command in commands():
    app.command(_name)(_command)

_INTERRUPTED = 130  # how a shell shows Ctrl-C


def main() -> None:
    """Run the command that was typed, and end with its exit code."""
    if isinstance(sys.stdout, TextIOWrapper):
        # Names of files are bytes, and a line may hold one that is no UTF-8: it is shown escaped, as stderr does.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        check_names()
        app()
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            _end(f"interrupted; of a sweep, {GO_ON}", _INTERRUPTED)
        raise
    except BadInputError as error:
        _end(str(error), 2)
    except (FailedError, OSError) as error:
        # A full disk, a lost mount: the machine's fault, and its own words are the clearest.
        _end(str(error), 1)


def _end(message: str, status: int) -> None:
    typer.echo(f"error: {message}", err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()

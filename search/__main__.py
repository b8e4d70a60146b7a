"""The command line: `python -m search COMMAND`, also installed as `prunefront`.

Exits 0 on success, 2 with one line on bad input, 1 on failure. Each command is a file in `search/cli/commands/`.
"""

import os
import sys
from io import TextIOWrapper
from typing import NoReturn

import typer

from search.cli.collect import commands
from search.cli.package_check import check_names
from search.errors import GO_ON, BadInputError, FailedError, ended_by

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
_BROKEN_PIPE = 141  # and SIGPIPE


def main() -> None:
    """Run the command that was typed, and end with its exit code."""
    if isinstance(sys.stdout, TextIOWrapper):
        # Names of files are bytes, and a line may hold one that is no UTF-8: it is shown escaped, as stderr does.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        check_names()
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _leave_the_pipe()
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            _end(f"interrupted; of a sweep, {GO_ON}", _INTERRUPTED)
        raise
    except BadInputError as error:
        _end(str(error), 2)
    except (FailedError, OSError) as error:
        # A full disk, a lost mount: the machine's fault, and its own words are the clearest.
        _end(" ".join(str(error).split()), 1)
    except KeyboardInterrupt:
        _end(f"interrupted; of a sweep, {GO_ON}", _INTERRUPTED)
    except Exception as error:
        # Unforeseen, from our own code or a library's: never many lines.
        ending = ended_by(error, "")
        _end(str(ending), 2 if isinstance(ending, BadInputError) else 1)


def _leave_the_pipe() -> NoReturn:
    """End quietly: who read the output, as `| head`, has read enough."""
    # Python flushes once more at its end, and would say that it cannot.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(_BROKEN_PIPE)


def _end(message: str, status: int) -> None:
    typer.echo(f"error: {message}", err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()

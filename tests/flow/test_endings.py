"""However a command ends, it says at most one line, which names the file with the trace."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from PIL import Image

from search import __main__ as entry
from search.errors import BadInputError


@pytest.fixture
def ended(monkeypatch, capfd, tmp_path):
    """Run a command line that raises this error; returns its status and what it wrote to standard error."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def run(error: BaseException) -> tuple[int, str]:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.command()
        def command() -> None:
            raise error

        monkeypatch.setattr(entry, "app", app)
        monkeypatch.setattr(sys, "argv", ["prunefront"])
        with pytest.raises(SystemExit) as exit_:
            entry.main()
        return exit_.value.code, capfd.readouterr().err

    return run


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInputError("wrong"), 2),
        (OSError(28, "No space left on device"), 1),
        (ValueError("of a\nlibrary"), 2),
        (RuntimeError("of a\nlibrary"), 1),
        (KeyError("ours"), 1),
        (AssertionError(), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=repr,
)
def test_every_error_is_one_line_with_its_status(ended, error, status):
    code, shown = ended(error)
    assert code == status
    assert shown.startswith("error: ") or status == 130
    assert shown.strip().count("\n") == 0


def test_the_line_names_the_file_with_the_trace(ended):
    _, shown = ended(KeyError("ours"))
    named = re.search(r"^error: KeyError: 'ours' \(the trace is in (.*)\)$", shown.strip())
    text = Path(named[1]).read_text()
    assert "Traceback" in text
    assert "in command" in text


def test_a_reader_that_has_read_enough_ends_the_command_quietly():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "search", "--help"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.stderr == b""
    assert done.returncode in (1, 128 + signal.SIGPIPE)


def test_a_name_that_is_no_utf8_is_shown_escaped_wherever_a_line_goes(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("wb") as file:
            Image.effect_noise((8, 8), 50).save(file, "JPEG")
    done = subprocess.run([sys.executable, "-m", "search", "check-data", folder], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"4 images read: all are sound" in done.stdout
    assert rb"caf\udce9: " in done.stdout

"""Lines come out as they are, and bars only where a person watches."""

import io

from rich.console import Console

from search.terminal import progress_bar, say


def test_a_line_with_brackets_and_numbers_is_printed_as_it_is_and_never_broken():
    output = io.StringIO()
    line = "trial 3 [bold] of /a/path " + "x" * 200
    say(Console(file=output, width=40, force_terminal=True), line)
    assert output.getvalue() == f"{line}\n"


def test_outside_a_terminal_a_bar_shows_nothing():
    output = io.StringIO()
    with progress_bar(Console(file=output), "reading") as show:
        show(1, 2)
    assert output.getvalue().strip() == ""


def test_a_bar_disappears_at_its_end():
    output = io.StringIO()
    with progress_bar(Console(file=output, force_terminal=True, width=80), "reading", 2) as show:
        show(2, 2)
    assert "reading" in output.getvalue()
    assert output.getvalue().endswith("\x1b[2K")

from pathlib import Path

import pytest

from retrieval.text import (
    as_utf8,
    choose,
    did_you_mean,
    name_few,
    name_from_text,
    name_to_text,
    need_text,
    one_line,
    printable,
)


def test_few_names_are_all_listed_and_many_are_counted() -> None:
    assert name_few(["a", "b"], limit=2) == "a, b"
    assert name_few(["a", "b", "c"], limit=2) == "a, b and 1 more"


def test_an_error_of_several_lines_is_told_on_one() -> None:
    assert one_line(OSError("no\n  such\tfile")) == "no such file"
    assert one_line(KeyError()) == "KeyError"


def test_a_misspelt_name_is_answered_with_the_nearest_and_all_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"unknown colour 'gren' \(did you mean 'green'\?\): known are green, red"):
        choose("colour", {"green": 1, "red": 2}, "gren")
    assert choose("colour", {"green": 1, "red": 2}, "red") == 2
    assert did_you_mean("xyz", ["green", "red"]) == ""


def test_what_no_terminal_shows_is_escaped_on_one_line() -> None:
    assert printable("é ü [red].jpg") == "é ü [red].jpg"
    assert printable("two\nlines \udce9\x1b") == r"two\nlines \xe9\x1b"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a/é 1%.jpg", "a/é 1%.jpg"),
        ("a/caf\udce9.jpg", "./a/caf%E9.jpg"),
        ("caf\udce9 100%.jpg", "./caf%E9%20100%25.jpg"),
        ("é\udce9.jpg", "./%C3%A9%E9.jpg"),
        ("./caf%E9.jpg", "././caf%25E9.jpg"),
    ],
)
def test_a_name_is_written_as_text_from_which_it_returns(name: str, text: str) -> None:
    assert name_to_text(name) == text
    assert name_from_text(text) == name
    text.encode()


def test_a_message_with_a_name_that_is_no_text_can_be_written() -> None:
    assert as_utf8("broken: caf\udce9.jpg\n") == "broken: caf\\udce9.jpg\n"


def test_a_path_that_is_no_text_is_refused_and_shown_escaped() -> None:
    need_text(Path("/runs/é"), "storage")
    with pytest.raises(ValueError, match=r"^storage /runs/caf\\xe9 is no name in UTF-8; rename it"):
        need_text(Path("/runs/caf\udce9"), "storage")

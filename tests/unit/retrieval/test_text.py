import pytest

from retrieval.text import choose, did_you_mean, name_few, one_line


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

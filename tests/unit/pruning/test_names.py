import pytest

from pruning.names import close_name, did_you_mean, nearest_name, unknown_name


def test_the_nearest_name_is_the_one_with_the_typo() -> None:
    assert nearest_name("layer1.0.conv3", ["layer2.0.conv1", "layer1.0.conv1", "fc"]) == "layer1.0.conv1"


def test_a_name_like_no_other_still_gets_an_answer() -> None:
    assert nearest_name("???", ["b", "a"]) in {"a", "b"}


def test_nothing_is_near_when_nothing_is_known() -> None:
    with pytest.raises(ValueError, match=r"near '\?'"):
        nearest_name("?", [])


def test_only_a_misspelling_is_close() -> None:
    assert close_name("ofset", ["offset", "level"]) == "offset"
    assert close_name("???", ["offset", "level"]) is None


def test_one_is_asked_whether_one_meant_it_or_told_what_there_is() -> None:
    assert did_you_mean("ofset", ["offset", "level"]) == "did you mean 'offset'?"
    assert did_you_mean("???", iter(["offset", "level"])) == "known are offset, level"


def test_an_unknown_name_is_refused_with_the_known_and_the_nearest() -> None:
    assert unknown_name("preset", "filter", ["pq", "filters"]) == (
        "unknown preset 'filter'; known: pq, filters; nearest: 'filters'"
    )

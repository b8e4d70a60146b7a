import pytest

from pruning.names import nearest_name


def test_the_nearest_name_is_the_one_with_the_typo() -> None:
    assert nearest_name("layer1.0.conv3", ["layer2.0.conv1", "layer1.0.conv1", "fc"]) == "layer1.0.conv1"


def test_a_name_like_no_other_still_gets_an_answer() -> None:
    assert nearest_name("???", ["b", "a"]) in {"a", "b"}


def test_nothing_is_near_when_nothing_is_known() -> None:
    with pytest.raises(ValueError, match=r"near '\?'"):
        nearest_name("?", [])

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from retrieval.datasets.format import Source
from trainables.settings import DataSettings

OWN = r"(?P<identity>\d+)_c(?P<camera>\d+).*"


def _settings(**more: Any) -> DataSettings:
    return DataSettings(root=Path("data"), image_size=64, **more)


def test_a_pattern_is_that_of_every_set_which_names_none() -> None:
    settings = _settings(
        pattern="veri", select_on={"path": ".", "split": "val"}, report_on=Source(path=".", pattern=OWN)
    )
    assert settings.train == Source(path="train", pattern="veri")
    assert settings.select_on == Source(path=".", split="val", pattern="veri")
    assert settings.report_on == Source(path=".", pattern=OWN)
    assert _settings(pattern="veri", train="people").train == Source(path="people", pattern="veri")


def test_a_pattern_is_part_of_what_is_written_only_where_it_is_given() -> None:
    plain, named = _settings().model_dump(mode="json"), _settings(pattern=OWN).model_dump(mode="json")
    assert "pattern" not in str(plain)
    assert named["pattern"] == named["train"]["pattern"] == OWN
    for written in (plain, named):
        assert DataSettings.model_validate(written).model_dump(mode="json") == written


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("(", "is no regular expression"), (r"\d+", "lacks the named group identity and camera"), (7, "valid string")],
)
def test_a_pattern_that_cannot_be_right_is_refused_before_anything_is_listed(pattern: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        _settings(pattern=pattern)
    with pytest.raises(ValidationError, match=said):
        Source(pattern=pattern)

import json

import pytest
from pydantic import ValidationError

from pruning.schedule import Schedule
from spaces.params import params_of, schedule_of

SCHEDULES = [
    Schedule(method="plfp", ratios={"a.conv1": 0.1 + 0.2, "b": 0.0}, decay=0.3, epochs=3, learning_rate=1e-3),
    Schedule(method="l1", ratios={"layer1.0.conv1": 0.5}, epochs=1, learning_rate=0.1, round_to=1),
    Schedule(method="fpgm", ratios={}, epochs=2, learning_rate=1 / 3, neighbours=4),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_params_and_schedule_are_exact_both_ways(schedule):
    params = params_of(schedule)
    assert schedule_of(params) == schedule
    assert params_of(schedule_of(params)) == params
    assert schedule_of(json.loads(json.dumps(params))) == schedule


def test_no_name_holds_a_slash_that_ray_would_nest():
    assert not any("/" in name for schedule in SCHEDULES for name in params_of(schedule))


def test_unknown_params_are_refused():
    with pytest.raises(ValidationError, match="rato"):
        schedule_of({**params_of(SCHEDULES[1]), "rato:b": 0.1})

import json

import pytest
from pydantic import ValidationError

from pruning.schedule import Quantization, Schedule, Sparsity
from spaces.params import params_of, schedule_of

SCHEDULES = [
    Schedule(method="plfp", ratios={"a.conv1": 0.1 + 0.2, "b": 0.0}, decay=0.3, epochs=3, learning_rate=1e-3),
    Schedule(method="l1", ratios={"layer1.0.conv1": 0.5}, epochs=1, learning_rate=0.1, round_to=1),
    Schedule(method="fpgm", ratios={}, epochs=2, learning_rate=1 / 3, neighbours=4, patience=5, open_descriptor=True),
    Schedule(
        method="trained_pq",
        ratios={},
        epochs=0,
        learning_rate=1e-3,
        sparsity=Sparsity(threshold=0.01, penalty=1e-5, penalised_epochs=2, learning_rate=1e-4),
        quantization=Quantization(bits=5, group_bits={"a.conv1": 2, "head": 8}, huffman=True),
    ),
    Schedule(method="l1", ratios={"a": 0.5}, epochs=1, learning_rate=1e-3, quantization=Quantization(grid="uniform")),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_params_and_schedule_are_exact_both_ways(schedule):
    params = params_of(schedule)
    assert schedule_of(params) == schedule
    assert params_of(schedule_of(params)) == params
    assert schedule_of(json.loads(json.dumps(params))) == schedule


def test_no_name_holds_a_slash_that_ray_would_nest():
    assert not any("/" in name for schedule in SCHEDULES for name in params_of(schedule))


def test_every_decision_of_a_last_stage_is_a_param_of_its_own():
    params = params_of(SCHEDULES[3])
    assert params["sparsity.threshold"] == 0.01
    assert params["quantization.bits"] == 5
    assert params["quantization.huffman"] == 1
    assert (params["bits:a.conv1"], params["bits:head"]) == (2, 8)
    assert all(isinstance(value, str | int | float) and not isinstance(value, bool) for value in params.values())


def test_unknown_params_are_refused():
    with pytest.raises(ValidationError, match="rato"):
        schedule_of({**params_of(SCHEDULES[1]), "rato:b": 0.1})
    with pytest.raises(ValidationError, match=r"quantization\.bit\b"):
        schedule_of({**params_of(SCHEDULES[3]), "quantization.bit": 4})

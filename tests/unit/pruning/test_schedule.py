import copy
import pickle
from typing import Any

import pytest

from pruning.schedule import Ratios, Schedule, default_decay

FIELDS: dict[str, Any] = {
    "method": "plfp",
    "ratios": {"layer2": 0.5, "layer1": 0.29},
    "decay": 0.01,
    "neighbours": 1,
    "epochs": 3,
    "learning_rate": 1e-3,
    "round_to": 8,
}


def schedule(**changes: Any) -> Schedule:
    return Schedule(**{**FIELDS, **changes})


def test_a_schedule_comes_back_from_json_exactly() -> None:
    original = schedule(ratios={"a": 0.1 + 0.2, "b": 1 / 3})
    back = Schedule.model_validate_json(original.model_dump_json())
    assert back == original
    assert back.ratios["a"] == 0.1 + 0.2
    assert back.identity == original.identity


def test_the_order_of_the_ratios_does_not_change_the_identity() -> None:
    other = schedule(ratios={"layer1": 0.29, "layer2": 0.5})
    assert other.identity == schedule().identity
    assert hash(other) == hash(schedule())


def test_the_identity_is_the_same_in_every_process() -> None:
    assert schedule().identity == "40fe20e490f9253c"


@pytest.mark.parametrize(
    "change",
    [
        {"method": "l1", "decay": None},
        {"ratios": {"layer1": 0.3, "layer2": 0.5}},
        {"decay": 0.3},
        {"neighbours": 2},
        {"epochs": 4},
        {"learning_rate": 1e-4},
        {"round_to": 16},
    ],
)
def test_every_field_changes_the_identity(change: dict[str, Any]) -> None:
    assert schedule(**change).identity != schedule().identity


def test_a_schedule_cannot_be_changed() -> None:
    frozen = schedule()
    with pytest.raises(ValueError, match="frozen"):
        frozen.epochs = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        frozen.ratios["layer1"] = 0.9  # type: ignore[index]


def test_changing_the_dictionary_it_was_made_from_changes_nothing() -> None:
    ratios = {"layer1": 0.5}
    frozen = schedule(ratios=ratios)
    ratios["layer1"] = 0.9
    assert frozen.ratios == {"layer1": 0.5}


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_schedule_travels_between_processes(copier: Any) -> None:
    assert copier(schedule()) == schedule()
    assert isinstance(copier(schedule()).ratios, Ratios)


@pytest.mark.parametrize("ratio", [-0.1, 1.0, 7.0, float("nan")])
def test_a_ratio_out_of_range_is_refused_with_its_group(ratio: float) -> None:
    with pytest.raises(ValueError, match=rf"ratio of group 'layer1' is {ratio}; it must be in \[0, 1\)"):
        schedule(ratios={"layer1": ratio})


def test_an_unknown_method_is_refused_with_the_known_and_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown method 'plpf'; known: plfp, l1, fpgm; nearest: 'plfp'"):
        schedule(method="plpf")


def test_plfp_without_a_decay_is_refused() -> None:
    with pytest.raises(ValueError, match="method 'plfp' needs a decay"):
        schedule(decay=None)


def test_a_decay_that_the_method_would_ignore_is_refused() -> None:
    with pytest.raises(ValueError, match=r"method 'fpgm' uses no decay, got 0\.01"):
        schedule(method="fpgm")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("decay", 1.0),
        ("decay", -0.1),
        ("neighbours", 0),
        ("epochs", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("inf")),
        ("round_to", 0),
    ],
)
def test_values_out_of_range_are_refused_by_field(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        schedule(**{field: value})


def test_a_field_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="warmup"):
        schedule(warmup=3)


@pytest.mark.parametrize(("ratio", "decay"), [(0.0, 0.01), (0.69, 0.01), (0.7, 0.3), (0.95, 0.3)])
def test_the_default_decay_is_the_papers(ratio: float, decay: float) -> None:
    assert default_decay(ratio) == decay


def test_no_decay_for_a_ratio_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"ratio is 1\.0; it must be in \[0, 1\)"):
        default_decay(1.0)

import copy
import pickle
from typing import Any

import pytest

from pruning.decay import default_decay
from pruning.frozen_mapping import Ratios
from pruning.schedule import Schedule

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
    assert schedule().identity == "53064f3865799bab"


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
        {"patience": 5},
        {"open_descriptor": True},
        {"quantization": {"bits": 8}},
        {"quantization": {"bits": 5}},
        {"quantization": {"bits": 8, "group_bits": {"layer1": 4}}},
        {"quantization": {"bits": 8}, "sparsity": {"share": 0.5}},
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
    with pytest.raises(ValueError, match=r"unknown method 'plpf'; known: plfp, l1, sfp, fpgm, .*; nearest: 'plfp'"):
        schedule(method="plpf")


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
        ("epochs", -1),
        ("patience", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("inf")),
        ("round_to", 0),
    ],
)
def test_values_out_of_range_are_refused_by_field(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        schedule(**{field: value})


CODED: dict[str, Any] = {
    "method": "trained_pq",
    "ratios": {},
    "decay": None,
    "epochs": 0,
    "sparsity": {"share": 0.5, "penalty": 1e-5, "rounds": 2, "penalised_epochs": 1, "retrained_epochs": 3},
    "quantization": {"bits": 5, "group_bits": {"b": 2, "a": 8}, "grid": "uniform", "epochs": 2, "huffman": True},
}


def test_a_last_stage_comes_back_from_json_exactly_and_counts_its_epochs() -> None:
    original = schedule(**CODED)
    back = Schedule.model_validate_json(original.model_dump_json())
    assert back == original
    assert back.quantization is not None
    assert list(back.quantization.group_bits) == ["a", "b"]
    assert hash(back) == hash(original)
    assert original.total_epochs == 2 * (1 + 3) + 2


@pytest.mark.parametrize("bits", [1, 9, 0, -4])
def test_bits_out_of_range_are_refused_by_value(bits: int) -> None:
    with pytest.raises(ValueError, match=rf"(?s)quantization.bits.*input_value={bits}"):
        schedule(quantization={"bits": bits})
    with pytest.raises(ValueError, match=rf"bits of group 'a' are {bits}; they must be in 2\.\.8"):
        schedule(quantization={"group_bits": {"a": bits}})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"ratios": {"a": 0.5}}, "removes no channels: ratios must be 0"),
        ({"quantization": None}, "needs a quantization, got None"),
        ({"sparsity": {}}, "either a threshold or a share, got threshold None and share None"),
        ({"sparsity": {"threshold": 0.1, "share": 0.5}}, "either a threshold or a share"),
        ({"sparsity": {"share": 1.0}}, "share"),
        ({"sparsity": {"threshold": -0.1}}, "threshold"),
        ({"sparsity": {"share": 0.5, "penalty": 0.1}}, r"a penalty of 0\.1 needs penalised_epochs"),
        ({"sparsity": None, "quantization": {"epochs": 0}}, "at least one must train"),
        ({"method": "l1"}, "'l1' needs epochs of at least 1, got 0"),
        ({"patience": 3}, "chooses once"),
    ],
)
def test_stages_that_do_not_fit_are_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        schedule(**{**CODED, **change})


def test_sparsity_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="sparsity needs a quantization"):
        schedule(sparsity={"share": 0.5})


def test_a_field_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="warmup"):
        schedule(warmup=3)


@pytest.mark.parametrize(("ratio", "decay"), [(0.0, 0.01), (0.69, 0.01), (0.7, 0.3), (0.95, 0.3)])
def test_the_default_decay_is_the_papers(ratio: float, decay: float) -> None:
    assert default_decay(ratio) == decay


def test_no_decay_for_a_ratio_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"ratio is 1\.0; it must be in \[0, 1\)"):
        default_decay(1.0)

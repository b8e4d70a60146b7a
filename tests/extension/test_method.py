"""A method with a hyperparameter of its own is its file and its row: done in a copy of the tree."""

import json
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
REGISTRY = "pruning/methods/registry.py"


@pytest.fixture(scope="module")
def tree(copy):
    """A copy of the tree in which the steps of CONTRIBUTING were done."""
    # 1. the method's file
    copy.add("lp_method.py", to="pruning/methods/lp.py")
    # 2. its row in the registry, and the import that the row needs
    copy.insert(REGISTRY, before="from pruning.methods.plfp import", line="from pruning.methods.lp import Lp\n")
    copy.insert(REGISTRY, before=")\nMETHODS", line="    Lp,\n")
    # 3. its row in the contract's table
    row = '    "lp": {"hyperparameters": {"power": 3.0}},\n'
    copy.insert("tests/contract/test_methods.py", before="}\nSTRUCTURED", line=row)
    return copy


@pytest.fixture(scope="module")
def spaces(tree) -> list[dict[str, Any]]:
    """Of these changes to a preset, one space each."""
    changes = [
        {"methods": ["lp", "l1"]},
        {"methods": ["lp"], "power": [2.0, 3.0]},
        {"methods": ["lp"], "power": 2.5},
        {"methods": ["l1"]},
    ]
    answer: list[dict[str, Any]] = json.loads(tree.run(HERE / "list_dimensions.py", json.dumps(changes)))
    return answer


def test_its_hyperparameter_is_a_dimension_of_every_space_that_has_the_method(spaces: list[dict[str, Any]]) -> None:
    space = spaces[0]
    power = space["dimensions"]["power"]
    assert (power["low"], power["high"], power["kind"]) == (1.0, 4.0, "float")
    assert (power["acts_on"], power["condition"]) == ("the criterion: p of its norm", "method lp")
    assert (space["params"]["power"], space["method"]) == (1.5, "Lp(power=1.5)")


def test_a_preset_bounds_it_by_its_name(spaces: list[dict[str, Any]]) -> None:
    _, bounded, fixed, _ = spaces
    power = bounded["dimensions"]["power"]
    assert (power["low"], power["high"]) == (2.0, 3.0)
    assert "power" not in fixed["dimensions"]
    assert fixed["method"] == "Lp(power=2.5)"


def test_a_space_without_the_method_is_what_it_was(spaces: list[dict[str, Any]]) -> None:
    without = spaces[-1]
    assert "power" not in {*without["dimensions"], *without["params"], *without["preset"]}


def test_it_keeps_the_contract_of_all_methods(tree) -> None:
    contract = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract/test_methods.py")
    chosen = "lp and not depthwise and not netvlad or row_in_the_table or no_hyperparameter"
    assert "passed" in tree.run(*contract, "-k", chosen)

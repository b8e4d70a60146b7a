from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field, ValidationError
from torch import Tensor

from pruning.methods.base import Method, lowest
from pruning.methods.hyperparameters import SearchRange
from pruning.methods.plfp import Plfp
from pruning.methods.registry import METHODS, all_hyperparameters

RANGE = SearchRange(low=1.0, high=4.0, acts_on="the criterion: p of its norm", digits=1)


class Powered(Method):
    name: ClassVar[str] = "powered"
    cuts_first: ClassVar[bool] = True

    power: Annotated[float, Field(gt=0), RANGE] = 2.0

    def removal_order(self, filters_OD: Tensor, count: int) -> Tensor:
        return lowest(filters_OD.norm(p=self.power, dim=1), count)


def test_a_field_of_a_method_is_a_hyperparameter_with_its_kind_default_and_range() -> None:
    power = Powered.hyperparameters()["power"]
    assert (power.name, power.kind, power.default, power.proposed) == ("power", float, 2.0, RANGE)
    assert power.plain_value(ratio=0.5) == power.plain_value(ratio=None) == 2.0


def test_a_method_refuses_values_outside_its_hyperparameters() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        Powered(power=0.0)
    with pytest.raises(ValidationError, match="Extra inputs"):
        Powered(neighbours=3)  # type: ignore[call-arg]


def test_hyperparameters_are_asked_for_in_the_order_of_their_declaration() -> None:
    assert list(Plfp.hyperparameters()) == ["decay", "neighbours"]
    assert not METHODS["l1"].hyperparameters()


def test_what_follows_from_a_ratio_is_not_known_without_one() -> None:
    decay = Plfp.hyperparameters()["decay"]
    assert [decay.plain_value(ratio) for ratio in (None, 0.5, 0.75)] == [None, 0.01, 0.3]


@pytest.mark.parametrize(("annotation", "default"), [(float, 2.0), (Annotated[str, RANGE], "two"), (float, ...)])
def test_a_field_that_is_no_hyperparameter_is_refused_by_name(annotation: Any, default: Any) -> None:
    body = {"__annotations__": {"power": annotation}, "power": Field(default), "__module__": __name__}
    odd = type("Odd", (Powered,), body)
    with pytest.raises(TypeError, match=r"hyperparameter 'power': write `power: Annotated\[float, SearchRange"):
        odd.hyperparameters()


def test_two_methods_may_share_a_hyperparameter_but_not_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert METHODS["plfp"].hyperparameters()["neighbours"] == METHODS["local_zeroing"].hyperparameters()["neighbours"]

    class Other(Powered):
        name: ClassVar[str] = "other"
        power: Annotated[float, Field(gt=0), SearchRange(low=2.0, high=4.0, acts_on="another")] = 2.0

    monkeypatch.setattr("pruning.methods.registry.METHODS", {"powered": Powered, "other": Other})
    with pytest.raises(ValueError, match="method 'other' declares 'power' otherwise than a method before it"):
        all_hyperparameters.__wrapped__()

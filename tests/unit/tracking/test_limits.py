"""Limits on what is known before a trial trains."""

import pytest
from pydantic import ValidationError

from tracking.limits import Limits


def test_violations_are_shares_of_the_limit_and_what_is_unknown_is_left_out():
    limits = Limits(min_speedup=2, max_macs=4e8, max_size_mb=1)
    found = limits.violations({"macs": 5e8, "size_bytes": 9e5})
    assert found == pytest.approx({"max_macs": 0.25, "max_size_mb": -0.1})
    assert limits.violations({"speedup": 1.5, "macs": 4e8}) == pytest.approx({"min_speedup": 0.25, "max_macs": 0})


def test_the_explanation_names_the_limit_that_is_missed_most():
    limits = Limits(min_mac_ratio=2, max_parameters=100)
    assert limits.explain({"mac_ratio": 1.9, "parameters": 150}) == (
        "max_parameters 100: parameters is 150, 50.0% outside"
    )
    assert limits.explain({"mac_ratio": 2.0, "parameters": 100}) is None
    assert Limits().explain({"mac_ratio": 1.0}) is None


@pytest.mark.parametrize("wrong", [{"min_speedup": 0}, {"max_macs": float("inf")}, {"max_mac": 3}])
def test_a_limit_that_means_nothing_is_refused(wrong):
    with pytest.raises(ValidationError):
        Limits(**wrong)

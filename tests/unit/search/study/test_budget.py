"""Budgets, the drivers' clock, and a front that no longer grows."""

import pytest
from pydantic import ValidationError

from search.study.budget import SAVE_EVERY_SECONDS, Budget, Clock, Spent, StagnationSettings
from search.study.stopping import HypervolumeStagnation


def test_a_budget_without_an_end_is_refused():
    with pytest.raises(ValidationError, match="give trials, epochs or hours"):
        Budget(stop=StagnationSettings(growth=0.01, trials=20))


@pytest.mark.parametrize("key", ["trials", "epochs", "hours"])
def test_a_bound_of_nothing_is_refused(key):
    with pytest.raises(ValidationError, match=key):
        Budget(**{key: 0})


@pytest.mark.parametrize(
    ("budget", "inside", "outside", "reason"),
    [
        (Budget(trials=3), Spent(trials=2), Spent(trials=3), "3 of 3 trials"),
        (Budget(epochs=30), Spent(epochs=20), Spent(epochs=21), "21 of 30 epochs are trained"),
        (Budget(hours=2), Spent(hours=1.99), Spent(hours=2.0), "2.00 of 2 hours"),
    ],
)
def test_a_bound_is_met_exactly(budget, inside, outside, reason):
    assert budget.used_up(inside, longest_trial=10) is None
    assert reason in budget.used_up(outside, longest_trial=10)


def test_the_first_bound_that_is_reached_ends_it():
    assert "hours" in Budget(trials=100, hours=1).used_up(Spent(trials=5, hours=1.5), longest_trial=1)


def test_a_clock_goes_on_over_restarts_and_forgets_little_when_killed(tmp_path):
    now = [100.0]
    path = tmp_path / "clock.json"
    first = Clock(path, lambda: now[0])
    now[0] += SAVE_EVERY_SECONDS - 1
    first.tick()
    assert not path.exists()
    now[0] += 1
    first.tick()
    now[0] += 5  # and then it is killed
    second = Clock(path, lambda: now[0])
    now[0] += 3600
    assert second.hours == pytest.approx(1 + SAVE_EVERY_SECONDS / 3600)
    second.save()
    assert Clock(path, lambda: now[0]).hours == pytest.approx(second.hours)


def test_a_damaged_clock_says_what_to_do(tmp_path):
    (tmp_path / "clock.json").write_text("{")
    with pytest.raises(ValueError, match=r"clock\.json is damaged: remove it"):
        Clock(tmp_path / "clock.json")


def test_a_front_stalls_when_its_last_trials_added_little():
    growth = HypervolumeStagnation(("map", "speedup"), {})
    settings = StagnationSettings(growth=0.1, trials=2)
    for values in [(0.5, 2.0), (0.5, 2.01)]:
        growth.add(values)
        assert growth.reason(settings) is None
    growth.add((0.4, 1.5))
    # 0.5 · 1.01 after 0.5 · 1: one per cent.
    assert "grown by 1.00% in the last 2 finished trials, less than 10.00%" in growth.reason(settings)
    growth.add((0.6, 2.5))
    assert growth.reason(settings) is None


def test_costs_that_are_minimised_are_measured_from_the_dense_networks():
    growth = HypervolumeStagnation(("map", "macs"), {"macs": 100.0})
    settings = StagnationSettings(growth=0.5, trials=1)
    growth.add((0.5, 60.0))
    growth.add((0.5, 50.0))
    assert "25.00%" in growth.reason(settings)
    growth.add((0.5, 10.0))
    assert growth.reason(settings) is None


def test_a_front_that_has_not_begun_has_not_stalled():
    growth = HypervolumeStagnation(("map", "speedup"), {})
    for _ in range(9):
        growth.add((0.9, 0.8))
    assert growth.reason(StagnationSettings(growth=0.1, trials=3)) is None


def test_growth_needs_the_dense_networks_cost():
    with pytest.raises(ValueError, match="no 'macs'"):
        HypervolumeStagnation(("map", "macs"), {})

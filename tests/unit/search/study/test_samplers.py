"""Every sampler by name, over the space it is for, with two and three objectives and with constraints."""

import pytest
from optuna.trial import TrialState

from pruning.graph.groups import PrunableGroup
from search.study.constraints import EXCLUSIONS_UNTIL_GIVEN_UP, AllExcludedError, Exclusions, check_reachable
from search.study.initial_points import spread_out
from search.study.journal import open_study
from search.study.samplers import DEFAULT_SAMPLER, SAMPLERS, check_sampler, make_sampler
from spaces.preset import load_preset
from spaces.scripted_sampler import ScriptedSampler
from spaces.space import Space
from tracking.limits import Limits

GROUPS = tuple(PrunableGroup(n, members=(n,), norms=(), norm_starts=(), width=64, locked=False) for n in "ab")
CONDITIONAL = Space(groups=GROUPS, preset=load_preset("filters"), epochs=1, learning_rate=0.1)
PLAIN = Space(groups=GROUPS, preset=load_preset("filters", methods=["plfp"]), epochs=1, learning_rate=0.1)


def costs(schedule) -> dict[str, float]:
    kept = 1 - sum(schedule.ratios.values()) / len(schedule.ratios)
    return {"macs": 1e6 * kept**2, "mac_ratio": kept**-2, "compression": kept**-2}


@pytest.mark.parametrize("objectives", [("map", "speedup"), ("map", "speedup", "compression")])
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_proposes_with_constraints_and_trials_without_values(tmp_path, name, objectives):
    study = open_study(tmp_path / "journal.log", objectives, name, 3)
    seen = set()
    # Enough for the first proposals that are not random.
    proposals = 13 if name == "gp" else 40
    for number in range(proposals):
        trial = study.ask()
        schedule = PLAIN.propose(trial)
        level = sum(schedule.ratios.values()) / 2
        trial.set_constraint("max_macs", level - 0.5)
        if level > 0.5 or number % 7 == 3:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, [0.8 - level**2, 1 + 2 * level, 1 + level][: len(objectives)])
        seen.add(schedule.identity)
    assert len(seen) > proposals / 2


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_seed_decides_what_a_sampler_draws(tmp_path, name):
    def drawn(folder: str, seed: int) -> list[str]:
        (tmp_path / folder).mkdir()
        study = open_study(tmp_path / folder / "journal.log", ("map", "speedup"), name, seed)
        return [PLAIN.propose(study.ask()).identity for _ in range(5)]

    assert drawn("a", 1) == drawn("b", 1) != drawn("c", 2)


@pytest.mark.parametrize("name", ["tpe", "tpe-group"])
def test_tpe_learns_from_violated_constraints(tmp_path, name):
    study = open_study(tmp_path / "journal.log", ("map", "speedup"), name, 0)
    inside = []
    for _ in range(60):
        trial = study.ask()
        level = trial.suggest_float("level", 0.0, 0.9)
        trial.set_constraint("limit", 0.6 - level)
        inside.append(level >= 0.6)
        if inside[-1]:
            study.tell(trial, [0.8 - level**2, 1 + 2 * level])
        else:
            study.tell(trial, state=TrialState.PRUNED)
    # A third of the range is inside.
    assert sum(inside[30:]) >= 20


def test_an_unknown_sampler_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown sampler 'cmaes'; known are tpe, tpe-group"):
        make_sampler("cmaes", 0)


def test_gaussian_processes_are_refused_where_dimensions_come_and_go():
    with pytest.raises(ValueError, match=r"decay.* depend on the trial's method.*'tpe-group'"):
        check_sampler("gp", CONDITIONAL)
    check_sampler("gp", PLAIN)
    for name in SAMPLERS.keys() - {"gp"}:
        check_sampler(name, CONDITIONAL)
    assert DEFAULT_SAMPLER in SAMPLERS


def test_the_first_points_lie_far_apart_in_cost_and_each_schedule_comes_once():
    points = [
        CONDITIONAL.point({"method": method, "level": level})
        for level in (0, 0.1, 0.5, 0.75)
        for method in ("plfp", "l1")
    ]
    ordered = spread_out([*points, *points], CONDITIONAL, costs)
    assert len(ordered) == len({CONDITIONAL.propose(ScriptedSampler(point)).identity for point in points})
    assert ordered[0]["level"] == 0.5
    assert {point["level"] for point in ordered[1:3]} == {0, 0.75}
    assert {point["level"] for point in ordered[:4]} == {0, 0.1, 0.5, 0.75}
    assert spread_out([], CONDITIONAL, costs) == []


def test_limits_that_some_network_of_the_space_meets_are_reachable():
    check_reachable(CONDITIONAL, costs, Limits(max_macs=2e4, min_speedup=100.0))


def test_limits_that_no_network_meets_are_refused_with_the_nearest_miss():
    with pytest.raises(ValueError, match=r"exclude every network of the space; .*max_macs 100: macs is .* outside"):
        check_reachable(CONDITIONAL, costs, Limits(max_macs=100.0))


def test_a_row_of_exclusions_names_the_limit_that_excluded_most():
    exclusions = Exclusions()
    for number in range(EXCLUSIONS_UNTIL_GIVEN_UP - 1):
        exclusions.add({"max_macs": 0.1 + number, "min_speedup": -1.0 + number % 3})
    with pytest.raises(AllExcludedError, match=r"200 proposals in a row.*max_macs excluded 200.*missed it by 10\.0%"):
        exclusions.add({"max_macs": 7.0})

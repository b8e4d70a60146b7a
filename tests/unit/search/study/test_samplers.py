"""Every sampler by name, over the space it is for, with two and three objectives and with constraints."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from pruning.graph.groups import PrunableGroup
from search.study.ehvi.goal import Goal
from search.study.journal import open_study
from search.study.samplers import DEFAULT_SAMPLER, SAMPLER_NAMES, check_sampler, make_sampler
from spaces.preset import load_preset
from spaces.space import Space

GROUPS = tuple(PrunableGroup(n, members=(n,), norms=(), norm_starts=(), width=64, locked=False) for n in "ab")
CONDITIONAL = Space(groups=GROUPS, preset=load_preset("filters"), epochs=1, learning_rate=0.1)
PLAIN = Space(groups=GROUPS, preset=load_preset("filters", methods=["plfp"]), epochs=1, learning_rate=0.1)


def costs(schedule) -> dict[str, float]:
    kept = 1 - sum(schedule.ratios.values()) / len(schedule.ratios)
    return {"macs": 1e6 * kept**2, "mac_ratio": kept**-2, "compression": kept**-2}


def sampled(folder: Path, objectives: tuple[str, ...], name: str, seed: int) -> optuna.Study:
    study = open_study(folder / "journal.log", objectives)
    study.sampler = make_sampler(name, seed, Goal(PLAIN, costs, objectives))
    return study


@pytest.mark.parametrize("objectives", [("map", "speedup"), ("map", "speedup", "compression")])
@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_every_sampler_proposes_with_constraints_and_trials_without_values(tmp_path, name, objectives):
    study = sampled(tmp_path, objectives, name, 3)
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


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_a_seed_decides_what_a_sampler_draws(tmp_path, name):
    def drawn(folder: str, seed: int) -> list[str]:
        (tmp_path / folder).mkdir()
        study = sampled(tmp_path / folder, ("map", "speedup"), name, seed)
        return [PLAIN.propose(study.ask()).identity for _ in range(5)]

    assert drawn("a", 1) == drawn("b", 1) != drawn("c", 2)


@pytest.mark.parametrize("name", ["tpe", "tpe-group"])
def test_tpe_learns_from_violated_constraints(tmp_path, name):
    study = sampled(tmp_path, ("map", "speedup"), name, 0)
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
    with pytest.raises(ValueError, match="unknown sampler 'cmaes'; known are ehvi, tpe, tpe-group"):
        make_sampler("cmaes", 0, Goal(PLAIN, costs, ("map", "speedup")))


def test_gaussian_processes_are_refused_where_dimensions_come_and_go():
    with pytest.raises(ValueError, match=r"decay.* depend on the trial's method.*'tpe-group'"):
        check_sampler("gp", CONDITIONAL)
    check_sampler("gp", PLAIN)
    for name in set(SAMPLER_NAMES) - {"gp"}:
        check_sampler(name, CONDITIONAL)
    assert DEFAULT_SAMPLER in SAMPLER_NAMES

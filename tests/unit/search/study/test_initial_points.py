"""The points that a study tries first, on a real study in memory."""

import optuna
import pytest

from pruning.graph.groups import PrunableGroup
from search.study.initial_points import enqueue_once, spread_out
from spaces.preset import load_preset
from spaces.scripted_sampler import ScriptedSampler
from spaces.space import Space

GROUPS = tuple(PrunableGroup(n, members=(n,), norms=(), norm_starts=(), width=64, locked=False) for n in "ab")
SPACE = Space(groups=GROUPS, preset=load_preset("filters"), epochs=1, learning_rate=0.1)


def costs(schedule) -> dict[str, float]:
    kept = 1 - sum(schedule.ratios.values()) / len(schedule.ratios)
    return {"macs": 1e6 * kept**2, "mac_ratio": kept**-2, "compression": kept**-2}


def test_the_first_points_lie_far_apart_in_cost_and_each_schedule_comes_once():
    points = [
        SPACE.point({"method": method, "level": level}) for level in (0, 0.1, 0.5, 0.75) for method in ("plfp", "l1")
    ]
    ordered = spread_out([*points, *points], SPACE, costs)
    assert len(ordered) == len({SPACE.propose(ScriptedSampler(point)).identity for point in points})
    assert ordered[0]["level"] == 0.5
    assert {point["level"] for point in ordered[1:3]} == {0, 0.75}
    assert {point["level"] for point in ordered[:4]} == {0, 0.1, 0.5, 0.75}
    assert spread_out([], SPACE, costs) == []


def waiting(study: optuna.Study) -> list[dict]:
    return [trial.system_attrs["fixed_params"] for trial in study.get_trials(deepcopy=False)]


def test_points_are_enqueued_once_whatever_a_later_start_would_make():
    study = optuna.create_study()
    enqueue_once(study, lambda: [{"level": 0.1}, {"level": 0.2}])
    enqueue_once(study, lambda: pytest.fail("they were enqueued before"))
    assert waiting(study) == [{"level": 0.1}, {"level": 0.2}]


def test_a_driver_killed_while_it_enqueues_leaves_the_rest_to_the_next():
    study, points = optuna.create_study(), [{"level": 0.1}, {"level": 0.2}, {"level": 0.3}]

    def killed():
        yield points[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enqueue_once(study, killed)
    enqueue_once(study, lambda: points)
    assert waiting(study) == points

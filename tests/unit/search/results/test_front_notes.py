import pytest

from search.results.front_notes import front_notes
from tracking.front import Front, build_front
from tracking.record import TrialRecord

SCHEDULE = {"method": "l1", "ratios": {"conv": 0.5}, "epochs": 1, "learning_rate": 0.1}


def front(dense: float, *qualities: float) -> Front:
    records = [
        TrialRecord(
            number=number,
            status="finished",
            schedule=SCHEDULE,
            metrics={"map": quality, "speedup": 2.0 + number},
        )
        for number, quality in enumerate(qualities)
    ]
    return build_front("s", records, {"map": dense}, provenance={})


def notes(*arguments: float) -> list[str]:
    return list(front_notes(front(*arguments), {"map": 0.05}))


def test_an_ordinary_front_needs_none():
    assert notes(0.8, 0.7, 0.6) == []


def test_a_dense_network_below_chance():
    (note,) = notes(0.04, 0.03, 0.02)
    assert note.startswith("the dense network's mAP of 4.0% is no better than that of a random order, 5.0%")


def test_a_dense_network_that_cannot_be_wrong():
    (note,) = notes(1.0, 0.9, 0.8)
    assert note.startswith("the dense network's mAP is 100.0%")


@pytest.mark.parametrize("count", [2, 3])
def test_trials_that_all_score_the_same(count):
    (note,) = notes(0.8, *[0.7] * count)
    assert note.startswith(f"all {count} trials have the same mAP, 70.0%")


def test_one_trial_is_not_compared():
    assert notes(0.8, 0.7) == []

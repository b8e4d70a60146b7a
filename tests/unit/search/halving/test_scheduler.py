import math
import pickle
from pathlib import Path
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from search.halving.scheduler import SuccessiveHalvingScheduler
from search.halving.successive_halving import SuccessiveHalving


def scheduler(folder: Path) -> SuccessiveHalvingScheduler:
    return SuccessiveHalvingScheduler(
        SuccessiveHalving(folder / "rungs.jsonl", epochs=9, grace=1, reduction=3, signs=(1, -1)), ("map", "size_bytes")
    )


def told(asked: SuccessiveHalvingScheduler, number: int, **result: Any) -> str:
    return asked.on_trial_result(None, Trial("any", config={"number": number}, stub=True), result)


def test_the_trial_that_is_larger_and_worse_is_stopped(tmp_path):
    asked = scheduler(tmp_path)
    assert told(asked, 0, epoch=1, map=0.8, size_bytes=4e6) == TrialScheduler.CONTINUE
    assert told(asked, 1, epoch=1, map=0.7, size_bytes=5e6) == TrialScheduler.STOP
    assert told(asked, 2, epoch=1, map=0.7, size_bytes=3e6) == TrialScheduler.CONTINUE


@pytest.mark.parametrize(
    "result",
    [
        {"map": 0.1, "size_bytes": 9e6},
        {"epoch": 1, "map": 0.1},
        {"epoch": 1, "size_bytes": 9e6},
        {"epoch": 1, "map": 0.1, "size_bytes": math.nan},
        {"status": "failed"},
    ],
)
def test_a_result_without_its_epoch_or_an_objective_goes_on_unjudged(tmp_path, result):
    asked = scheduler(tmp_path)
    told(asked, 0, epoch=1, map=0.8, size_bytes=4e6)
    assert told(asked, 1, **result) == TrialScheduler.CONTINUE
    assert len((tmp_path / "rungs.jsonl").read_text().splitlines()) == 1


def test_a_diverged_trial_is_stopped(tmp_path):
    assert told(scheduler(tmp_path), 0, epoch=1, map=math.nan, size_bytes=4e6) == TrialScheduler.STOP


def test_it_is_pickled_with_tune_and_knows_what_it_knew(tmp_path):
    told(scheduler(tmp_path), 0, epoch=1, map=0.8, size_bytes=4e6)
    again = pickle.loads(pickle.dumps(scheduler(tmp_path)))
    assert told(again, 1, epoch=1, map=0.7, size_bytes=5e6) == TrialScheduler.STOP


def test_a_metric_of_tunes_is_refused(tmp_path):
    assert scheduler(tmp_path).set_search_properties(None, None)
    assert not scheduler(tmp_path).set_search_properties("map", "max")

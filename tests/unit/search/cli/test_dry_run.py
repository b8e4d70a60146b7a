"""What a dry run says, without the Ray that it asks for resources and a timed epoch."""

import io

import pytest
from rich.console import Console

from pruning.schedule import Schedule
from search.cli.dry_run import proposals_table, resources_line, time_lines
from search.config import ResourceSettings
from search.study.budget import Budget
from tracking.record import EpochPoint, TrialRecord

SCHEDULE = Schedule(method="fpgm", ratios={"a": 0.5, "b": 0.25}, epochs=2, learning_rate=0.1)


def lines(budget: Budget, records: list[TrialRecord] | None = None, early_stops: bool = False) -> list[str]:
    return list(
        time_lines(budget, epochs=3, epoch_seconds=20.0, slots=2, records=records or [], early_stops=early_stops)
    )


def test_the_smallest_bound_of_the_budget_is_the_time_it_takes():
    an_epoch, search = lines(Budget(trials=10, epochs=100, hours=5.0))
    assert an_epoch == "an epoch of a trial takes about 0:00:20 (estimated), a trial 0:01:00"
    assert search == "the search takes at most about 0:05:00 for 10 trials; the front is measured again after it"
    assert "about 0:02:00 for 12 epochs" in lines(Budget(trials=10, epochs=12))[1]
    assert "about 1:00:00 for 1 hours" in lines(Budget(hours=1.0))[1]


def test_records_replace_the_estimate_and_count_towards_the_budget():
    curve = tuple(EpochPoint(epoch=epoch, loss=1.0, map=0.1, seconds=5.0) for epoch in (1, 2, 3))
    done = TrialRecord(
        number=0, status="finished", schedule=SCHEDULE, curve=curve, metrics={"map": 0.1, "speedup": 2.0}
    )
    an_epoch, search = lines(Budget(trials=5), [done], early_stops=True)
    assert "5.0 s (as in the trials so far)" in an_epoch
    assert "for 4 trials; less, as the scheduler ends trials early" in search


def test_resources_name_what_a_trial_needs_and_what_the_nodes_have():
    line = resources_line(ResourceSettings(cpus=2, gpus=0.5), [{"CPU": 8, "GPU": 1}, {"CPU": 4}], slots=2)
    assert line == "a trial needs 2 CPUs and 0.5 GPUs; the nodes have 8 CPUs, 1 GPUs; 4 CPUs, 0 GPUs: 2 trials at once"


@pytest.mark.parametrize(("ratios", "shown"), [({"a": 0.5, "b": 0.25}, "25% to 50%, mean 38%"), ({"a": 0.0}, "none")])
def test_a_proposal_is_a_row_with_its_ratios_and_counted_costs(ratios, shown):
    schedule = SCHEDULE.model_copy(update={"ratios": ratios})
    config = {"number": 7, "schedule": schedule.model_dump_json(), "costs": {"mac_ratio": 2.5}}
    output = io.StringIO()
    Console(file=output, width=160).print(proposals_table([config]))
    row = next(line for line in output.getvalue().splitlines() if "fpgm" in line)
    assert "7" in row
    assert shown in row
    assert "2.50" in row

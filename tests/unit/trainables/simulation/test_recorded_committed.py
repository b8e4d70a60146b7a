"""The table of recorded trials in benchmarks/data: large enough, true to the network, and worth answering by."""

from pathlib import Path

import numpy as np
import pytest

from trainables.simulation.recorded import RecordedTable

TABLE = Path(__file__).resolve().parents[4] / "benchmarks" / "data" / "mini_resnet.parquet"


@pytest.fixture(scope="module")
def table() -> RecordedTable:
    return RecordedTable(TABLE)


def test_it_holds_two_hundred_trials_with_all_their_epochs(table):
    assert len(table.trials) >= 200
    assert {len(trial.curve) for trial in table.trials} == {table.epochs}
    assert set(table.methods) == {"plfp", "l1", "fpgm"}
    assert TABLE.stat().st_size < 500_000


def test_what_it_recorded_was_counted_as_is_counted_today(table):
    counted = ("parameters", "macs", "size_bytes", "mac_ratio", "compression")
    for trial in table.trials:
        now = table.costs(trial.schedule)
        assert {key: now[key] for key in counted} == pytest.approx({key: trial.costs[key] for key in counted})


def test_it_bears_no_path_of_the_machine_that_recorded_it(table):
    assert table.card.settings.data.root == Path("data/mini")
    assert not [value for value in table.card.provenance.values() if value.startswith("/")]


def test_it_answers_for_a_trial_left_out_far_better_than_their_mean_would(table):
    maps_NE = np.array([[point.map for point in trial.curve] for trial in table.trials])
    speeds_N = np.log([trial.costs["speedup"] for trial in table.trials])
    map_errors, speed_error = table.left_out_errors()
    assert map_errors[-1] < 0.5 * maps_NE[:, -1].std()
    assert speed_error < 0.5 * speeds_N.std()

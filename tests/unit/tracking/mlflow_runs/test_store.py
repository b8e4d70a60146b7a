import logging
import math
import time
from pathlib import Path

import pytest

from tracking.charts.write import write_front
from tracking.front import build_front
from tracking.mlflow_runs.mlflow_client import default_tracking_uri, make_sqlite_store, quiet_client, ui_command
from tracking.mlflow_runs.store import MlflowStore
from tracking.record import EpochPoint, TrialRecord, read_record

# MLflow's own use of SQLAlchemy, in the client that the tests read with.

DENSE = {"map": 0.62, "size_bytes": 4e7}


class _Shown:
    """What a SQLite store shows of the sweep "tiny"."""

    def __init__(self, folder):
        self.client = quiet_client(default_tracking_uri(folder))
        self.experiment = self.client.get_experiment_by_name("tiny")
        runs = self.client.search_runs([self.experiment.experiment_id])
        self.parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        self.trials = {
            int(run.data.tags["prunefront.trial"]): run for run in runs if "prunefront.trial" in run.data.tags
        }
        self.run_count = len(runs)

    def history(self, number, key):
        return self.client.get_metric_history(self.trials[number].info.run_id, key)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """Creating MLflow's tables takes seconds: once, then copied."""
    folder = tmp_path_factory.mktemp("database")
    quiet_client(default_tracking_uri(folder)).search_experiments()
    return (folder / "mlflow.db").read_bytes()


@pytest.fixture
def folder(tmp_path, empty_database):
    (tmp_path / "mlflow.db").write_bytes(empty_database)
    return tmp_path


def _store(folder) -> MlflowStore:
    return MlflowStore(default_tracking_uri(folder), "tiny", folder)


def _publish(folder, *records) -> list[int]:
    store = _store(folder)
    store.sync(records)
    return store.close()


def test_a_trial_is_a_child_run_with_everything_in_it(make_record, folder):
    record = make_record(0, 0.6, 2.0)
    assert _publish(folder, record) == []
    shown = _Shown(folder)
    run = shown.trials[0]
    assert run.data.tags["mlflow.parentRunId"] == shown.parents[0].info.run_id
    assert run.data.params == {"level": "0.4", "offset:conv1": "0.1", "method": "plfp", "epochs": "2"}
    assert run.data.metrics["map"] == 0.6
    assert (run.info.status, run.info.end_time - run.info.start_time) == ("FINISHED", 4000)
    assert [(point.step, point.value) for point in shown.history(0, "loss")] == [(0, 1.0), (1, 0.5)]
    paths = {item.path for item in shown.client.list_artifacts(run.info.run_id)}
    assert paths == {"record.json", "schedule.json"}
    artifact = next((folder / "mlartifacts").rglob("record.json"))
    assert read_record(artifact) == record


def test_the_parent_is_finished_when_the_store_is_closed(make_record, folder):
    _publish(folder, make_record(0, 0.6, 2.0))
    assert [(run.info.run_name, run.info.status) for run in _Shown(folder).parents] == [("tiny", "FINISHED")]


def test_a_record_published_three_times_is_written_once(make_record, folder):
    record = make_record(0, 0.6, 2.0)
    store = _store(folder)
    store.publish(record)
    store.publish(record)
    assert store.close() == []
    assert _publish(folder, record) == []
    shown = _Shown(folder)
    assert shown.run_count == 2
    assert len(shown.history(0, "map")) == 3  # two epochs and the final one


def test_a_resumed_sweep_goes_on_under_the_same_parent(make_record, folder):
    _publish(folder, make_record(0, 0.6, 2.0))
    _publish(folder, make_record(0, 0.6, 2.0), make_record(1, 0.5, 3.0))
    shown = _Shown(folder)
    assert len(shown.parents) == 1
    assert sorted(shown.trials) == [0, 1]


def test_a_lost_run_map_is_no_reason_to_write_a_trial_twice_if_the_id_is_known(make_record, folder):
    record = make_record(0, 0.6, 2.0)
    _publish(folder, record)
    path = folder / "mlflow_runs.json"
    text = path.read_text()
    path.write_text(text[: text.index('"parent"')] + '"parent": "", "trials": {}}')
    assert _publish(folder, record) == []
    shown = _Shown(folder)
    assert (len(shown.parents), shown.run_count, len(shown.history(0, "map"))) == (1, 2, 3)


def test_a_wiped_database_is_filled_again(make_record, folder, empty_database):
    records = [make_record(0, 0.6, 2.0), make_record(1, 0.5, 3.0)]
    _publish(folder, *records)
    (folder / "mlflow.db").unlink()
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "mlflow.db").write_bytes(empty_database)
    store = MlflowStore(default_tracking_uri(folder / "elsewhere"), "tiny", folder)
    store.sync(records)
    assert store.close() == []
    assert sorted(_Shown(folder / "elsewhere").trials) == [0, 1]


def test_a_record_that_gained_test_scores_is_shown_in_the_same_run(make_record, folder):
    record = make_record(0, 0.6, 2.0)
    _publish(folder, record)
    measured_again = record.model_copy(update={"metrics": {**record.metrics, "speedup": 1.9, "test_map": 0.58}})
    _publish(folder, measured_again)
    shown = _Shown(folder)
    assert shown.run_count == 2
    assert (shown.trials[0].data.metrics["test_map"], shown.trials[0].data.metrics["speedup"]) == (0.58, 1.9)


def test_a_failed_trial_says_why(folder):
    _publish(folder, TrialRecord(number=3, status="failed", message="out of memory"))
    run = _Shown(folder).trials[3]
    assert (run.info.status, run.data.tags["prunefront.message"]) == ("FAILED", "out of memory")


def test_a_stopped_trial_is_neither_finished_nor_failed(folder):
    _publish(folder, TrialRecord(number=3, status="stopped"))
    assert _Shown(folder).trials[3].info.status == "KILLED"


def test_infinity_and_nan_are_both_shown_as_nan(folder):
    curve = tuple(EpochPoint(epoch=e, loss=loss, map=0.1, seconds=1) for e, loss in enumerate((math.inf, math.nan)))
    _publish(folder, TrialRecord(number=0, status="failed", message="diverged", curve=curve))
    losses = [point.value for point in _Shown(folder).history(0, "loss")]
    assert len(losses) == 2
    assert all(math.isnan(loss) for loss in losses)


def test_only_the_runs_on_the_newest_front_are_tagged_true(make_record, folder):
    first, better = make_record(0, 0.5, 2.0), make_record(1, 0.6, 3.0)
    for records in ([first], [first, better]):
        front = build_front("tiny", records, DENSE, provenance={})
        write_front(front, folder / "front")
        store = _store(folder)
        store.sync(records)
        store.publish_front(front, folder / "front")
        assert store.close() == []
    shown = _Shown(folder)
    assert [shown.trials[number].data.tags["prunefront.on_front"] for number in (0, 1)] == ["false", "true"]
    assert shown.parents[0].data.tags["prunefront.objectives"] == "map, speedup"
    names = {item.path for item in shown.client.list_artifacts(shown.parents[0].info.run_id)}
    assert {"front.html", "front.json", "front.parquet"} <= names


def test_a_trial_written_after_its_front_is_tagged_all_the_same(make_record, folder):
    record = make_record(0, 0.5, 2.0)
    store = _store(folder)
    store.publish_front(build_front("tiny", [record], DENSE, provenance={}), folder)
    store.publish(record)
    assert store.close() == []
    assert _Shown(folder).trials[0].data.tags["prunefront.on_front"] == "true"


def test_more_parameters_than_a_batch_holds_all_arrive(make_record, folder):
    params = {f"offset:layer{index}": index / 10 for index in range(230)}
    _publish(folder, make_record(0, 0.6, 2.0, params=params))
    assert len(_Shown(folder).trials[0].data.params) == 230


def test_a_record_that_mlflow_refuses_holds_up_no_other_and_is_told(make_record, folder, caplog):
    refused = make_record(0, 0.6, 2.0, params={"../sneaky": 1})
    store = _store(folder)
    with caplog.at_level(logging.WARNING, logger="tracking"):
        store.sync([refused, make_record(1, 0.5, 3.0)])
        assert store.close(timeout_s=4) == [0]
    assert 1 in _Shown(folder).trials
    assert "lacks trials [0]" in caplog.text


def test_an_unreachable_server_neither_raises_nor_blocks_and_warns_once(make_record, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="tracking"):
        store = MlflowStore("http://127.0.0.1:9", "tiny", tmp_path)
        store.sync([make_record(0, 0.6, 2.0), make_record(1, 0.5, 3.0)])
        assert store.close(timeout_s=2) == [0, 1]
    assert caplog.text.count("cannot be written") == 1


def test_nothing_is_printed(make_record, tmp_path, capfd):
    # Makes the tables, too, which MLflow likes to talk about.
    assert _publish(tmp_path, make_record(0, 0.6, 2.0)) == []
    assert capfd.readouterr() == ("", "")


def test_a_closed_store_takes_no_more_records(make_record, folder):
    store = _store(folder)
    store.close()
    with pytest.raises(ValueError, match="closed"):
        store.publish(make_record(0, 0.6, 2.0))


def test_a_damaged_run_map_is_named(tmp_path):
    (tmp_path / "mlflow_runs.json").write_text("{")
    with pytest.raises(ValueError, match=r"mlflow_runs\.json is damaged"):
        _store(tmp_path)


def test_the_ui_s_command_is_bound_to_this_machine_and_quoted():
    command = ui_command("sqlite:////data/my sweep/mlflow.db")
    assert command == "mlflow ui --backend-store-uri 'sqlite:////data/my sweep/mlflow.db' --host 127.0.0.1"
    assert ui_command("http://tracking:5000") == "http://tracking:5000"


def test_a_store_for_which_the_disk_was_full_is_made_once_there_is_room(make_record, tmp_path, full_disk, caplog):
    with full_disk(100_000):
        store = _store(tmp_path)
        store.publish(make_record(0, 0.6, 2.0))
        while not caplog.records:
            time.sleep(0.05)
    assert "cannot be written" in caplog.text
    assert store.close() == []
    assert list(_Shown(tmp_path).trials) == [0]


def test_a_moved_folder_shows_all_again_and_touches_the_old_place_no_more(make_record, tmp_path, empty_database):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (old / "mlflow.db").write_bytes(empty_database)
    records = [make_record(0, 0.6, 2.0), make_record(1, 0.5, 3.0)]
    assert _publish(old, *records) == []
    old.rename(new)
    assert _publish(new, *records) == []
    shown = _Shown(new)
    assert sorted(shown.trials) == [0, 1]
    assert str(new) in shown.experiment.artifact_location
    assert not old.exists()


@pytest.mark.parametrize("name", ["a b?c#d%20e", "100%", "what?", "#1", 'it\'s "ü"', "a@b:c", "?x=y&z"])
def test_a_folder_of_any_name_keeps_its_store_and_nothing_is_left_beside_it(
    make_record, tmp_path, empty_database, name
):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(empty_database)
    assert _publish(folder, make_record(0, 0.6, 2.0)) == []
    shown = _Shown(folder)
    assert list(shown.trials) == [0]
    run_id = shown.trials[0].info.run_id
    assert "record.json" in [file.path for file in shown.client.list_artifacts(run_id)]
    assert list(tmp_path.iterdir()) == [folder]
    assert list((folder / "mlartifacts").rglob("record.json"))


def test_a_store_is_made_in_the_very_file_that_its_address_names(tmp_path):
    folder = tmp_path / "50% ?"
    folder.mkdir()
    make_sqlite_store(default_tracking_uri(folder))
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [
        folder.relative_to(tmp_path),
        Path("50% ?/mlflow.db"),
    ]

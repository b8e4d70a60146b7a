import math

import pytest
from pydantic import ValidationError

from tracking.record import METRICS, EpochPoint, TrialRecord, read_record, write_record


def test_a_record_reads_back_equal(make_record, tmp_path):
    record = make_record(3, 0.6, 2.0)
    write_record(tmp_path / "trials" / "3" / "record.json", record)
    assert read_record(tmp_path / "trials" / "3" / "record.json") == record


def test_parameters_keep_their_types_through_json(make_record, tmp_path):
    record = make_record(0, 0.6, 2.0, params={"whole": 1, "real": 1.0, "word": "1"})
    write_record(tmp_path / "record.json", record)
    params = read_record(tmp_path / "record.json").params
    assert [type(params[key]) for key in ("whole", "real", "word")] == [int, float, str]


def test_a_diverged_loss_survives_as_nan_and_infinity(tmp_path):
    curve = (
        EpochPoint(epoch=0, loss=math.inf, map=0.1, seconds=1),
        EpochPoint(epoch=1, loss=math.nan, map=0.1, seconds=1),
    )
    record = TrialRecord(number=0, status="failed", message="loss is NaN", curve=curve)
    write_record(tmp_path / "record.json", record)
    losses = [point.loss for point in read_record(tmp_path / "record.json").curve]
    assert losses[0] == math.inf
    assert math.isnan(losses[1])


def test_rewriting_leaves_one_file_and_the_newer_content(make_record, tmp_path):
    for mAP in (0.5, 0.6):
        write_record(tmp_path / "record.json", make_record(0, mAP, 2.0))
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
    assert read_record(tmp_path / "record.json").metrics["map"] == 0.6


def test_a_write_that_fails_leaves_the_old_record_and_no_scrap(make_record, tmp_path, monkeypatch):
    write_record(tmp_path / "record.json", make_record(0, 0.5, 2.0))
    monkeypatch.setattr("os.replace", _disk_full)
    with pytest.raises(OSError, match="full"):
        write_record(tmp_path / "record.json", make_record(0, 0.6, 2.0))
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
    assert read_record(tmp_path / "record.json").metrics["map"] == 0.5


def _disk_full(*_: object) -> None:
    raise OSError("disk full")


@pytest.mark.parametrize("damage", [b"", b'{"number": 1', b"\x00\xff", b"[]", b'{"number": 1, "status": "lost"}'])
def test_a_damaged_record_is_named(tmp_path, damage):
    path = tmp_path / "record.json"
    path.write_bytes(damage)
    with pytest.raises(ValueError, match=r"record\.json is not a trial's record"):
        read_record(path)


def test_a_missing_record_is_not_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "record.json")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"metrics": {"map": 0.5, "speedup": 2.0, "mapp": 0.5}}, r"unknown metrics \['mapp'\]"),
        ({"metrics": {"map": 0.5}}, r"finished without \['speedup'\]"),
        ({"metrics": {"map": math.nan, "speedup": 2.0}}, "finished with .*nan"),
        ({"metrics": {"map": 0.5, "speedup": 2.0, "macs": math.inf}}, "finished with .*inf"),
        ({"schedule": None}, "without a schedule"),
        ({"status": "failed"}, "failed without a message"),
        ({"status": "lost"}, "status"),
        ({"number": -1}, "number"),
        ({"params": {"level": math.inf}}, "finite"),
        ({"params": {"flag": True}}, "params"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_nonsense_is_refused(make_record, wrong, message):
    with pytest.raises(ValidationError, match=message):
        make_record(0, 0.5, 2.0, **wrong)


@pytest.mark.parametrize("epochs", [(0, 0), (1, 0)])
def test_epochs_come_once_and_in_order(make_record, epochs):
    curve = tuple(EpochPoint(epoch=epoch, loss=1.0, map=0.5, seconds=1.0) for epoch in epochs)
    with pytest.raises(ValidationError, match="each once and in order"):
        make_record(0, 0.5, 2.0, curve=curve)


def test_a_failed_trial_needs_neither_schedule_nor_metrics():
    record = TrialRecord(number=0, status="failed", message="out of memory")
    assert record.schedule is None


def test_every_metric_says_what_it_means_in_one_sentence():
    assert all(metric.meaning.count(". ") == 0 and metric.meaning.endswith(".") for metric in METRICS.values())


def test_every_quality_has_a_twin_on_the_test_queries():
    qualities = {key for key, metric in METRICS.items() if metric.is_quality and not key.startswith("test_")}
    assert {"map", "map_hard", "mp_at_10_easy", "cmc_at_1", "recall_at_20", "map_asymmetric"} <= qualities
    for key in qualities:
        assert METRICS[f"test_{key}"].label == f"test {METRICS[key].label}"
        assert METRICS[f"test_{key}"].is_quality
        assert "test queries" in METRICS[f"test_{key}"].meaning


def test_a_sign_tells_which_side_is_better():
    assert [METRICS[key].sign for key in ("map", "latency_ms", "map_low")] == [1, -1, 0]


def test_metrics_are_shown_as_a_person_reads_them():
    assert METRICS["map"].show(0.8244) == "82.4%"
    assert METRICS["speedup"].show(2.154) == "×2.15"
    assert METRICS["size_bytes"].show(44_700_000) == "44.70"
    assert METRICS["map"].show(None) == METRICS["map"].show(math.nan) == "–"

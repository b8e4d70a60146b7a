import re
from pathlib import Path

from pruning.schedule import Schedule
from search.results.next_steps import next_steps
from search.results.pick import Limit, pick
from tracking.front import build_front
from tracking.record import TrialRecord

SCHEDULE = Schedule(method="l1", ratios={"a": 0.5}, epochs=1, learning_rate=0.1)


def front(*trials: tuple[float, float]):
    records = [
        TrialRecord(number=n, status="finished", schedule=SCHEDULE, metrics={"map": score, "speedup": speedup})
        for n, (score, speedup) in enumerate(trials)
    ]
    return build_front("s", records, {"map": 0.70001}, provenance={})


def test_the_commands_name_the_page_the_store_and_a_trial_that_pick_would_choose(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = front((0.70, 1.0), (0.66, 2.0), (0.30, 4.0))
    lines = next_steps(found, tmp_path / "runs" / "s", "sqlite:////x/mlflow.db")
    text = "\n".join(lines)
    assert str(Path("runs/s/front.html")) in text
    assert "mlflow ui --backend-store-uri sqlite:////x/mlflow.db --host 127.0.0.1" in text
    limit = float(re.search(r"--min-map ([\d.]+)", text)[1])
    exported = int(re.search(r"export runs/s (\d+) --out", text)[1])
    assert pick(found, [Limit("--min-map", "map", limit)]).point.number == exported == 1


def test_paths_with_spaces_are_quoted_and_a_server_is_an_address(tmp_path):
    folder = tmp_path / "my runs"
    text = "\n".join(next_steps(front((0.7, 1.0)), folder, "http://server:5000"))
    assert f"'{folder}'" in text
    assert "the runs in MLflow:   http://server:5000\n" in text


def test_a_front_far_below_the_dense_network_still_gets_an_export_command(tmp_path):
    lines = next_steps(front((0.2, 1.5), (0.1, 3.0)), tmp_path, "http://server")
    assert " export " in lines[-1]

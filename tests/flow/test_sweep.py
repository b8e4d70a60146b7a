"""The whole way with real parts: sweep, front, pick, export, verify; killed in the middle; and with bad input."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyarrow import parquet

from search.study.journal import open_study
from tracking.front import read_front
from tracking.mlflow_runs.mlflow_client import default_tracking_uri, quiet_client
from tracking.sensitivity import read_sensitivity
from trainables.folder import read_records

pytestmark = pytest.mark.ray


def sweep(sweep_file: Path, storage: Path, baselines: Path, *more: object) -> list[str]:
    """The words of a sweep, as `prunefront` takes them."""
    return [str(word) for word in ("sweep", sweep_file, "--storage", storage, "--baselines", baselines, *more)]


@pytest.fixture(scope="module")
def swept(tmp_path_factory, tiny_data, tiny_baseline, prunefront) -> Path:
    """A finished sweep of four trials; its folder, whose name holds what URIs and shells take for their own."""
    from conftest import TINY_SWEEP

    folder = tmp_path_factory.mktemp("swept") / "a b?c#d%20'é"
    folder.mkdir()
    file = folder / "tiny.toml"
    file.write_text(TINY_SWEEP.format(data=tiny_data).replace("enabled = false", "enabled = true"))
    done = prunefront(*sweep(file, folder / "sweep", tiny_baseline.folder.parent), timeout=400)
    assert done.returncode == 0, done.stderr
    (folder / "output.txt").write_text(done.stdout)
    return folder / "sweep"


def output_of(swept: Path) -> str:
    return (swept.parent / "output.txt").read_text()


def test_a_sweep_leaves_exactly_its_trials_and_a_front(swept):
    records = read_records(swept)
    assert [record.number for record in records] == [0, 1, 2, 3]
    assert {record.status for record in records} == {"finished"}
    assert [len(record.curve) for record in records] == [2, 2, 2, 2]
    front = read_front(swept)
    assert 1 <= len(front.members()) <= 4
    assert all("test_map" in point.metrics for point in front.members())
    assert front.dense["speedup"] == 1.0
    html = (swept / "front.html").read_text()
    assert "tiny" in html
    assert parquet.read_table(swept / "front.parquet").num_rows == 4


def test_the_channels_are_really_gone_and_the_plan_says_which(swept):
    lightest = max(read_records(swept), key=lambda record: record.metrics["mac_ratio"])
    assert lightest.metrics["mac_ratio"] > 1.2
    cut = [row for row in lightest.ledger if row.achieved_width < row.width]
    assert cut
    assert all(len(lightest.plan[row.group]) == row.achieved_width for row in cut)


def test_the_sensitivity_of_every_group_lies_in_the_folder_and_in_mlflow(swept):
    found = read_sensitivity(swept)
    assert len(found.groups) == 10
    assert all(group.points for group in found.groups)
    client = quiet_client(default_tracking_uri(swept))
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert "sensitivity.html" in {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}


def test_a_dry_run_shows_what_would_be_done_and_writes_nothing(swept, tmp_path, tiny_baseline, prunefront):
    file = swept.parent / "tiny.toml"
    words = sweep(file, tmp_path / "new", tiny_baseline.folder.parent, "--warm-start", swept)
    stall = "search.stop={growth = 0.01, trials = 5}"
    done = prunefront(*words, "--dry-run", "--trials", 12, "--set", stall, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "13 dimensions" in done.stdout
    assert "the first 10 proposals" in done.stdout
    assert "the nodes have" in done.stdout
    assert re.search(r"the search takes at most about .* for 12 trials", done.stdout)
    assert re.search(r"trial \d: group by group", done.stdout)
    assert not (tmp_path / "new").exists()


def test_the_output_shows_progress_and_says_what_to_type_next(swept):
    output = output_of(swept)
    assert re.search(r"\[4/4 trials, 0 running, 0 failed \| best mAP .+ \| front \d \| 0:00:00 left\]", output)
    assert str(swept / "front.html") in output
    assert re.search(r"mlflow ui --backend-store-uri '?sqlite.*:///", output)
    assert re.search(r"-m search pick .*--min-map", output)
    assert re.search(r"-m search export .* \d+ --out", output)


def test_mlflow_shows_one_parent_and_a_child_for_each_trial(swept):
    uri = default_tracking_uri(swept)
    client = quiet_client(uri)
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    assert (len(parents), len(children)) == (1, 4)
    assert {run.info.status for run in runs} == {"FINISHED"}
    by_number = {int(run.info.run_name.split()[-1]): run for run in children}
    for record in read_records(swept):
        run = by_number[record.number]
        assert run.data.params["method"] == record.schedule.method
        curve = [point.value for point in client.get_metric_history(run.info.run_id, "loss")]
        assert curve == pytest.approx([point.loss for point in record.curve])
        point = next(point for point in read_front(swept).points if point.number == record.number)
        assert run.data.metrics["speedup"] == pytest.approx(point.metrics["speedup"])
        assert run.data.metrics.get("test_map") == pytest.approx(point.metrics.get("test_map"))
    on_front = {n for n, run in by_number.items() if run.data.tags.get("prunefront.on_front") == "true"}
    assert on_front == {point.number for point in read_front(swept).members()}
    names = {artifact.path for artifact in client.list_artifacts(parents[0].info.run_id)}
    assert {"front.html", "front.json", "front.parquet"} <= names


def test_the_same_command_again_trains_nothing_and_a_larger_budget_goes_on(swept, tmp_path, tiny_baseline, prunefront):
    copy = shutil.copytree(swept, tmp_path / "copy")
    before = [record.provenance["time_utc"] for record in read_records(copy)]
    again = sweep(swept.parent / "tiny.toml", copy, tiny_baseline.folder.parent, "--trials", 5)
    done = prunefront(*again, timeout=300)
    assert done.returncode == 0, done.stderr
    records = read_records(copy)
    assert [record.number for record in records] == [0, 1, 2, 3, 4]
    assert [record.provenance["time_utc"] for record in records][:4] == before
    # It was moved, too: MLflow shows it from its new place.
    client = quiet_client(default_tracking_uri(copy))
    experiment = client.get_experiment_by_name("tiny")
    assert str(copy) in experiment.artifact_location
    assert len(client.search_runs([experiment.experiment_id])) == 6


def test_pick_export_verify(swept, prunefront, tmp_path):
    picked = prunefront("pick", swept, "--min-map", 0.01, "--json")
    assert picked.returncode == 0, picked.stderr
    choice = json.loads(picked.stdout)
    assert choice["metrics"]["speedup"] > 1
    bundle = tmp_path / "bundle"
    exported = prunefront("export", swept, choice["number"], "--out", bundle)
    assert exported.returncode == 0, exported.stderr
    verified = prunefront("verify", bundle)
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.count("ok  ") == 3
    again = prunefront("export", swept, choice["number"], "--out", bundle)
    assert again.returncode == 2
    assert "is there already" in again.stderr
    nobody = prunefront("export", swept, 77, "--out", tmp_path / "other")
    assert nobody.returncode == 2
    assert "trial 77" in nobody.stderr
    assert not (tmp_path / "other").exists()
    _broken_bundles_are_noticed(bundle, tmp_path, prunefront)


def _broken_bundles_are_noticed(bundle: Path, tmp_path: Path, prunefront) -> None:
    for name in ("model.onnx", "weights.safetensors", "metrics.json"):
        broken = shutil.copytree(bundle, tmp_path / f"broken-{name}")
        content = bytearray((broken / name).read_bytes())
        content[len(content) // 2] ^= 1
        (broken / name).write_bytes(bytes(content))
        done = prunefront("verify", broken)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert f"{name} was changed" in done.stderr
    for name, sums in (("emptied", b""), ("cut", (bundle / "SHA256SUMS").read_bytes()[:140]), ("garbled", b"\xff\xfe")):
        broken = shutil.copytree(bundle, tmp_path / name)
        (broken / "SHA256SUMS").write_bytes(sums)
        done = prunefront("verify", broken)
        assert done.returncode == 1
        assert "SHA256SUMS was changed" in done.stderr
    lying = shutil.copytree(bundle, tmp_path / "lying")
    metrics = json.loads((lying / "metrics.json").read_text())
    said = metrics["test_map"] + 0.01
    (lying / "metrics.json").write_text(json.dumps({**metrics, "test_map": said}))
    sums = subprocess.run(
        ["sha256sum", *sorted(path.name for path in lying.iterdir() if path.name != "SHA256SUMS")],
        cwd=lying,
        capture_output=True,
        text=True,
        check=True,
    )
    (lying / "SHA256SUMS").write_text(sums.stdout)
    done = prunefront("verify", lying)
    assert done.returncode == 1
    assert f"{metrics['test_map']:.4f}" in done.stderr
    assert f"{said:.4f}" in done.stderr


def test_pick_names_the_limit_to_loosen(swept, prunefront):
    done = prunefront("pick", swept, "--min-map", 0.01, "--min-speedup", 1000)
    assert done.returncode == 1
    assert "loosen --min-speedup to" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_storage_of_another_sweep_is_left_alone(swept, tiny_sweep, tiny_baseline, prunefront):
    tiny_sweep.write_text(tiny_sweep.read_text().replace("recalibration_steps = 2", "recalibration_steps = 3"))
    before = sorted((path.name, path.stat().st_mtime_ns) for path in swept.rglob("*"))
    other = sweep(tiny_sweep, swept, tiny_baseline.folder.parent)
    done = prunefront(*other, timeout=120)
    assert done.returncode == 2
    assert "holds another sweep" in done.stderr
    assert sorted((path.name, path.stat().st_mtime_ns) for path in swept.rglob("*")) == before


def test_changed_data_and_damaged_records_are_refused(swept, tmp_path, tiny_baseline, prunefront):
    copy = shutil.copytree(swept, tmp_path / "copy")
    file = tmp_path / "tiny.toml"
    file.write_text((swept.parent / "tiny.toml").read_text())
    (copy / "trials" / "2" / "record.json").write_text('{"number": 2')
    damaged = prunefront(*sweep(file, copy, tiny_baseline.folder.parent), timeout=120)
    assert damaged.returncode == 2
    assert "record.json is not a trial's record" in damaged.stderr
    # The same path with other images in it.
    card = json.loads((copy / "sweep.json").read_text())
    (copy / "sweep.json").write_text(json.dumps({**card, "data": "0" * 16}))
    changed = prunefront(*sweep(file, copy, tiny_baseline.folder.parent), timeout=120)
    assert changed.returncode == 2
    assert "have changed since the sweep" in changed.stderr


def test_a_sweep_whose_driver_is_killed_finishes_with_exactly_its_trials(
    tiny_sweep, tmp_path, tiny_baseline, prunefront
):
    storage, baselines = tmp_path / "sweep", tiny_baseline.folder.parent
    words = sweep(tiny_sweep, storage, baselines)
    with (tmp_path / "first.log").open("w") as log:
        driver = subprocess.Popen([sys.executable, "-m", "search", *words], stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 240
        # Killed as soon as one trial has ended: others are at work then.
        while not list(storage.glob("trials/*/record.json")):
            assert time.monotonic() < deadline, (tmp_path / "first.log").read_text()
            assert driver.poll() is None, (tmp_path / "first.log").read_text()
            time.sleep(0.05)
    finally:
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    finished_before = {record.number: record for record in read_records(storage)}
    done = prunefront(*words, timeout=400)
    assert done.returncode == 0, done.stderr
    records = read_records(storage)
    assert [record.number for record in records] == [0, 1, 2, 3]
    assert {record.status for record in records} == {"finished"}
    assert all(record in records for record in finished_before.values())
    study = open_study(storage / "journal.log", ("map", "speedup"))
    complete = [trial.number for trial in study.trials if trial.state.name == "COMPLETE"]
    assert complete == [0, 1, 2, 3]
    assert not [trial for trial in study.trials if trial.state.name == "RUNNING"]
    assert all([point.epoch for point in record.curve] == [1, 2] for record in records)

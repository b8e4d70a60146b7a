"""What version 0.1.0 wrote, before files carried a format version: it is read, gone on with, exported and verified.

tests/data/format_1 holds, as that version left it on a data root of /data/mini: `sweep.toml`, `sweep/` (five trials of
it, and a sixth that was handed out when its driver was killed; without pages, pictures and MLflow's store, which are
made from the rest), and `exported/` (a bundle of coded weights of another sweep).
"""

import json
import shutil
from pathlib import Path

import pytest

from retrieval.datasets.miniature.mini import MiniSettings, write_mini
from search.config import SweepConfig, load_config
from search.storage import SweepStorage
from search.study.journal import open_study
from tracking.front import read_front
from trainables.data import open_data
from trainables.folder import TrialFolder, read_records

FORMER = Path(__file__).parents[1] / "data" / "format_1"
INTERRUPTED, ITS_IDENTITY = 5, "db41d293ca520bf9"


@pytest.fixture(scope="module")
def former_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The benchmark that the former version's sweep ran on, drawn again."""
    root = tmp_path_factory.mktemp("former") / "mini"
    write_mini(root, seed=0, settings=MiniSettings(training_places=16, views=6, places=4, distractors=8))
    return root


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory, former_data: Path) -> Path:
    """The sweep's folder and file, on data that lie here: the only thing that is changed."""
    folder = tmp_path_factory.mktemp("moved")
    shutil.copytree(FORMER / "sweep", folder / "sweep")
    text = (FORMER / "sweep.toml").read_text().replace("/data/mini", str(former_data))
    (folder / "sweep.toml").write_text(text)
    card = json.loads((folder / "sweep" / "sweep.json").read_text())
    config = load_config(folder / "sweep.toml")
    card["config"]["data"]["root"] = str(former_data)
    card |= {"identity": config.identity, "data": open_data(config.data).fingerprint}
    card["baselines"] = str(folder / "baselines")
    (folder / "sweep" / "sweep.json").write_text(json.dumps(card))
    return folder


def test_a_sweep_file_has_the_identity_that_it_had():
    card = json.loads((FORMER / "sweep" / "sweep.json").read_text())
    assert SweepConfig.model_validate(card["config"]).identity == card["identity"]
    # Not through `load_config`, which resolves the data root: /data may be a link on some machine.
    assert SweepStorage(FORMER / "sweep").card().identity == card["identity"]


def test_records_are_read_whole_and_their_schedules_keep_their_identity(moved):
    records = {record.number: record for record in read_records(FORMER / "sweep")}
    assert sorted(records) == [0, 1, 2, 3, 4]
    assert [records[number].status for number in range(5)] == ["finished", "stopped", *["finished"] * 3]
    study = open_study(moved / "sweep" / "journal.log", ("map", "speedup"))
    for trial in study.get_trials(deepcopy=False)[:5]:
        assert records[trial.number].schedule.identity == trial.user_attrs["identity"]
    front = read_front(FORMER / "sweep")
    assert [point.number for point in front.members()] == [4, 3]


@pytest.mark.ray
def test_a_former_sweep_is_gone_on_with_exported_and_verified(moved, former_data, tmp_path, prunefront):
    storage = moved / "sweep"
    before = {number: (storage / "trials" / str(number) / "record.json").read_bytes() for number in range(5)}
    done = prunefront("sweep", moved / "sweep.toml", "--storage", storage, "--trials", 7, timeout=500)
    assert done.returncode == 0, done.stderr
    records = {record.number: record for record in read_records(storage)}
    assert sorted(records) == list(range(7))
    assert {record.status for record in records.values()} <= {"finished", "stopped"}
    # The interrupted trial was handed out again, with the same number and schedule; the others are as they were.
    assert records[INTERRUPTED].schedule.identity == ITS_IDENTITY
    assert before == {number: (storage / "trials" / str(number) / "record.json").read_bytes() for number in range(5)}
    assert len(read_front(storage).points) == sum(record.status == "finished" for record in records.values())

    done = prunefront("export", storage, 4, "--out", tmp_path / "bundle")
    assert done.returncode == 0, done.stderr
    done = prunefront("verify", tmp_path / "bundle")
    assert done.returncode == 0, done.stderr


def test_a_former_bundle_of_coded_weights_is_verified(former_data, prunefront):
    done = prunefront("verify", FORMER / "exported", "--data", former_data)
    assert done.returncode == 0, done.stderr
    assert "packed weights: 42,673 bytes unpack to the 183,388 of weights.safetensors, equal to the bit" in done.stdout
    assert "test mAP: 0.3384 in ONNX Runtime, 0.3384 when exported" in done.stdout


def test_a_former_front_is_shown_and_picked_from(prunefront):
    done = prunefront("pick", FORMER / "sweep", "--min-map", 0.3)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("trial 4")
    assert TrialFolder(FORMER / "sweep", 4).record().metrics["speedup"] > 7

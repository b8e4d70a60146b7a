import json
import subprocess
import sys
from pathlib import Path

import pytest

from search.config import load_config
from search.storage import SweepStorage
from tracking.format_version import UnknownFormatError


@pytest.fixture
def config(tiny_sweep):
    return load_config(tiny_sweep)


def test_a_claimed_folder_gives_its_configuration_back(config, tmp_path):
    storage = SweepStorage(tmp_path / "sweep")
    storage.claim(config, "data", tmp_path)
    storage.claim(config, "data", tmp_path)
    assert storage.card().config == config
    assert storage.card().baselines == tmp_path


def test_the_folder_of_another_sweep_is_refused_and_says_what_differs(config, tmp_path):
    storage = SweepStorage(tmp_path / "sweep")
    storage.claim(config, "data", tmp_path)
    other = config.model_copy(update={"finetune": config.finetune.model_copy(update={"epochs": 7})})
    before = (storage.path / "sweep.json").read_bytes()
    with pytest.raises(ValueError, match=r"another sweep \('tiny', differs in: finetune\)"):
        storage.claim(other, "data", tmp_path)
    assert (storage.path / "sweep.json").read_bytes() == before


def test_a_folder_with_something_else_in_it_is_left_alone(config, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match="not empty and holds no sweep"):
        SweepStorage(tmp_path).check(config, "data")
    with pytest.raises(ValueError, match="is a file"):
        SweepStorage(tmp_path / "thesis.tex").check(config, "data")
    with pytest.raises(ValueError, match="holds no sweep"):
        SweepStorage(tmp_path).card()


def test_one_process_at_a_time_holds_a_sweep_and_a_killed_one_lets_go(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from search.storage import SweepStorage\n"
        "with SweepStorage(Path(sys.argv[1])).lock(): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=f"run by process {holder.pid}"), SweepStorage(tmp_path).lock():
            pass
    finally:
        holder.kill()
        holder.communicate()
    with SweepStorage(tmp_path).lock():
        assert (tmp_path / ".lock").exists()


def test_other_data_under_the_same_path_is_refused(config, tmp_path):
    storage = SweepStorage(tmp_path / "sweep")
    storage.claim(config, "data", tmp_path)
    with pytest.raises(ValueError, match="have changed since"):
        storage.check(config, "other data")


def test_a_first_start_that_was_killed_does_not_lock_the_second_out(config, tmp_path):
    storage = SweepStorage(tmp_path / "sweep")
    storage.path.mkdir()
    (storage.path / ".lock").touch()
    (storage.path / ".sweep.json.abc123").touch()
    storage.claim(config, "data", tmp_path)
    assert not (storage.path / ".sweep.json.abc123").exists()


def test_a_damaged_card_is_named(config, tmp_path):
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(ValueError, match=r"sweep\.json is damaged"):
        SweepStorage(tmp_path).check(config, "data")


def test_a_uri_is_refused():
    with pytest.raises(ValueError, match="is a URI"):
        SweepStorage(Path("s3://bucket/x"))


def test_a_card_from_before_there_were_versions_is_read_and_a_newer_one_refused(config, tmp_path):
    storage = SweepStorage(tmp_path / "sweep")
    storage.claim(config, "data", tmp_path)
    path = storage.path / "sweep.json"
    fields = json.loads(path.read_text())
    assert fields.pop("format_version") == 1
    path.write_text(json.dumps(fields))
    assert storage.card().config == config
    path.write_text(json.dumps({"format_version": 2, **fields}))
    with pytest.raises(UnknownFormatError, match=r"sweep\.json is a sweep's card of format version 2"):
        storage.check(config, "data")


def test_a_sweep_goes_on_with_the_sampler_that_it_was_begun_with(config, tmp_path):
    unnamed = config.model_copy(update={"search": config.search.model_copy(update={"sampler": None})})
    begun = config.model_copy(update={"search": config.search.model_copy(update={"sampler": "tpe"})})
    storage = SweepStorage(tmp_path / "sweep")
    assert storage.with_sampler(unnamed).search.sampler == "ehvi"
    storage.claim(begun, "data", tmp_path)
    assert storage.with_sampler(unnamed) == begun
    storage.check(storage.with_sampler(unnamed), "data")
    with pytest.raises(ValueError, match="differs in: search"):
        storage.check(storage.with_sampler(SweepStorage(tmp_path / "new").with_sampler(unnamed)), "data")

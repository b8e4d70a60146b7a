"""Bad input at the command line: exit code 2, one clear line, nothing half-written."""

import os
import shutil
import sys
import warnings
from unittest.mock import patch

import pytest
from PIL import Image

from search.__main__ import main


@pytest.fixture
def refused(tmp_path, monkeypatch, capfd):
    """Run a command that must be refused; returns its one line.

    The command's own entry point, in this process: a process each would import torch and Ray twenty times.
    """

    def run(*words: object) -> str:
        before = sorted(tmp_path.rglob("*"))
        monkeypatch.setattr(sys, "argv", ["prunefront", *map(str, words)])
        # As in a process of its own: its warnings are no errors, and the token that it gives Ray goes with it.
        with warnings.catch_warnings(), patch.dict(os.environ):
            warnings.simplefilter("default")
            with pytest.raises(SystemExit) as ended:
                main()
        shown = capfd.readouterr()
        assert ended.value.code == 2, shown
        assert shown.err.count("\n") == 1, shown.err
        assert sorted(tmp_path.rglob("*")) == before
        return shown.err

    return run


@pytest.mark.ray
def test_a_process_of_its_own_ends_with_status_2_and_one_line(tiny_sweep, tmp_path, prunefront):
    # This one starts Ray, whose token is read when Ray is imported: not in this process.
    done = prunefront("sweep", tiny_sweep, "--storage", tmp_path / "sweep", "--set", "resources.gpus=8")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "asks for 1 CPUs and 8 GPUs, and no node has that" in done.stderr
    assert not (tmp_path / "sweep").exists()


@pytest.fixture
def own_data(tiny_data, tmp_path):
    """A copy of the tiny benchmark to damage."""
    return shutil.copytree(tiny_data, tmp_path / "data")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('preset = "filters"', 'preset = "filters"\nmethods = ["plpf"]', "unknown method 'plpf'"),
        ('preset = "filters"', 'preset = "filters"\nlevel = [-0.2, 0.5]', "not -0.2"),
        ('preset = "filters"', 'preset = "filters"\nlevel = [0.0, 1.0]', "not 1.0"),
        ("trials = 4", "trails = 4", "unknown key 'search.trails': did you mean 'trials'?"),
        ('preset = "filters"', 'preset = "trained_pq"\nquantization = {bits = [2, 9]}', "not 9"),
    ],
    ids=["method", "negative ratio", "ratio of one", "typo", "nine bits"],
)
def test_a_wrong_sweep_file(tiny_sweep, tmp_path, refused, old, new, message):
    tiny_sweep.write_text(tiny_sweep.read_text().replace(old, new))
    assert message in refused("sweep", tiny_sweep, "--storage", tmp_path / "sweep")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "limits.max_macs=1"], "exclude every network of the space; of its smallest ones the nearest misses"),
        (["--set", "search.sampler=gp"], "'gp' needs the same dimensions in every trial"),
        (["--set", "search.epochs=1"], "1 epochs is less than one trial's, 2"),
        (["--warm-start", "nowhere"], "nowhere holds no sweep"),
        (["--set", "search.objectives=['map', 'search_ms']"], "it needs an evaluation.index"),
    ],
    ids=["limits", "sampler", "budget", "warm start", "objective"],
)
def test_a_search_that_could_not_be(tiny_sweep, tmp_path, refused, words, message):
    assert message in refused("sweep", tiny_sweep, "--storage", tmp_path / "sweep", *words)


def test_a_missing_sweep_file(tmp_path, refused):
    assert "none.toml does not exist" in refused("sweep", tmp_path / "none.toml")


def test_a_missing_data_folder(tiny_sweep, tmp_path, refused):
    line = refused("sweep", tiny_sweep, "--data", tmp_path / "nowhere", "--storage", tmp_path / "sweep")
    assert "nowhere does not exist" in line


def test_a_ground_truth_that_names_an_image_that_is_not_there(tiny_sweep, own_data, tmp_path, refused):
    victim = sorted((own_data / "val" / "gt").glob("*_good.txt"))[0]
    victim.write_text(victim.read_text() + "atlantis_000001\n")
    line = refused("sweep", tiny_sweep, "--data", own_data, "--storage", tmp_path / "sweep")
    assert victim.name in line
    assert "atlantis_000001" in line


def test_unreadable_images_are_named_and_counted(tiny_sweep, own_data, tmp_path, refused):
    for victim in sorted((own_data / "val" / "jpg").iterdir())[:2]:
        victim.write_bytes(victim.read_bytes()[:100])
    line = refused("sweep", tiny_sweep, "--data", own_data, "--storage", tmp_path / "sweep")
    assert "2 unreadable images" in line
    assert victim.name in line
    assert "2 unreadable images" in refused("check-data", own_data)


@pytest.mark.parametrize("command", ["sweep", "dry run", "train"])
def test_a_test_set_that_is_a_copy_of_the_validation_set(tiny_sweep, own_data, tmp_path, refused, command):
    shutil.rmtree(own_data / "test")
    shutil.copytree(own_data / "val", own_data / "test")
    storage, baselines = ("--storage", tmp_path / "sweep"), ("--baselines", tmp_path / "baselines")
    more = {"sweep": storage, "dry run": (*storage, "--dry-run"), "train": baselines}[command]
    line = refused(command.split()[0].replace("dry", "sweep"), tiny_sweep, "--data", own_data, *more)
    assert "8 of its 8 query images are in select_on (val)" in line
    assert "1 useless ground truth" in refused("check-data", tiny_sweep, "--data", own_data)


@pytest.mark.parametrize("weights", ["none.safetensors", "imagenet"])
def test_weights_that_are_not_there(tiny_sweep, tmp_path, refused, weights):
    text = tiny_sweep.read_text().replace('name = "mini_resnet"', f'name = "mini_resnet"\nweights = "{weights}"')
    tiny_sweep.write_text(text)
    line = refused("sweep", tiny_sweep, "--storage", tmp_path / "sweep")
    assert "does not exist" in line or "no imagenet weights" in line


@pytest.mark.parametrize("address", ["ray://127.0.0.1:1", "127.0.0.1:1"])
def test_an_address_where_no_cluster_answers(tiny_sweep, tmp_path, refused, address):
    line = refused("sweep", tiny_sweep, "--storage", tmp_path / "sweep", "--address", address)
    assert address in line


def test_train_checks_its_images_too(tiny_sweep, own_data, tmp_path, refused):
    victim = sorted((own_data / "train").rglob("*.jpg"))[0]
    victim.write_bytes(b"")
    line = refused("train", tiny_sweep, "--data", own_data, "--baselines", tmp_path / "baselines")
    assert "1 unreadable image" in line


@pytest.mark.parametrize("command", ["sweep", "train"])
def test_boxes_of_images_that_were_stored_smaller(tiny_sweep, own_data, tmp_path, refused, command):
    for path in (own_data / "test" / "jpg").iterdir():
        with Image.open(path) as image:
            image.resize((image.width // 2, image.height // 2)).save(path)
    folder = {"sweep": "--storage", "train": "--baselines"}[command]
    line = refused(command, tiny_sweep, "--data", own_data, folder, tmp_path / "out")
    assert "query boxes do not fit their images" in line
    assert "was the image resized or turned after the boxes were drawn?" in line


@pytest.mark.parametrize("command", ["sweep", "train"])
def test_an_image_that_the_network_cannot_take(tiny_sweep, own_data, tmp_path, refused, command):
    tiny_sweep.write_text(tiny_sweep.read_text().replace("mini_resnet", "alexnet"))
    strip = sorted((own_data / "train").iterdir())[0] / "strip.jpg"
    Image.new("RGB", (2000, 3)).save(strip)
    folder = {"sweep": "--storage", "train": "--baselines"}[command]
    line = refused(command, tiny_sweep, "--data", own_data, folder, tmp_path / "out")
    assert "1 image is too small for the network" in line
    assert f"{strip.parent.name}/strip.jpg (2000 × 3" in line


def test_a_picture_above_the_limit_of_pixels(tiny_sweep, own_data, tmp_path, refused, monkeypatch):
    Image.new("RGB", (200, 100)).save(sorted((own_data / "train").iterdir())[0] / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 19_000)
    line = refused("train", tiny_sweep, "--data", own_data, "--baselines", tmp_path / "out")
    assert "large.png (too many pixels for Pillow: " in line
    assert "19000" in line


def test_a_storage_with_something_else_in_it(tiny_sweep, tmp_path, refused):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    assert "holds no sweep" in refused("sweep", tiny_sweep, "--storage", tmp_path / "full")


def test_folders_that_are_no_sweep_and_no_bundle(tmp_path, refused):
    assert "front.json" in refused("pick", tmp_path)
    assert "holds no sweep" in refused("export", tmp_path, 0, "--out", tmp_path / "bundle")
    assert "is no bundle" in refused("verify", tmp_path)


def test_a_folder_that_is_no_data_set(tmp_path, refused):
    (tmp_path / "empty").mkdir()
    assert "Oxford5k layout" in refused("check-data", tmp_path / "empty")


def test_a_mini_folder_that_holds_something_else(tmp_path, refused):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    assert "full" in refused("mini", "--out", tmp_path / "full")

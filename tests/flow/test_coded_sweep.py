"""A sweep whose trials end in few bits: three objectives, the packed file, its bundle, and damage to it."""

import json
import shutil
from pathlib import Path

import pytest

from tracking.front import read_front
from trainables.folder import TrialFolder, read_records

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def coded(tmp_path_factory, tiny_data, tiny_baseline, prunefront) -> Path:
    """A finished sweep of two trials; its folder."""
    from conftest import TINY_SWEEP

    folder = tmp_path_factory.mktemp("coded")
    file = folder / "tiny.toml"
    text = TINY_SWEEP.format(data=tiny_data).replace('preset = "filters"', 'preset = "filters_pq"')
    file.write_text(text.replace("trials = 4", 'trials = 2\nobjectives = ["map", "speedup", "compression"]'))
    words = ("sweep", file, "--storage", folder / "sweep", "--baselines", tiny_baseline.folder.parent)
    done = prunefront(*words, timeout=400)
    assert done.returncode == 0, done.stderr
    return folder / "sweep"


@pytest.fixture(scope="module")
def bundle(coded, tmp_path_factory, prunefront) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    done = prunefront("export", coded, 1, "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_trials_size_is_that_of_its_packed_file(coded):
    for record in read_records(coded):
        folder = TrialFolder(coded, record.number)
        assert record.metrics["size_bytes"] == len(folder.packed())
        assert not (folder.path / "weights.safetensors").exists()
        assert record.metrics["compression"] > 4
        assert len(record.curve) == 2 + 1 + 1  # channels, then weights, then bits
    front = read_front(coded)
    assert front.objectives == ("map", "speedup", "compression")
    assert len(front.reference) == 3


def test_the_ledger_shows_bits_and_savings(coded, prunefront):
    done = prunefront("pick", coded, "--min-map", 0.01, "--ledger")
    assert done.returncode == 0, done.stderr
    assert "MACs saved" in done.stdout
    assert "bits" in done.stdout


def test_a_bundle_of_coded_weights_is_verified_to_the_bit(bundle, prunefront):
    done = prunefront("verify", bundle)
    assert done.returncode == 0, done.stderr
    assert "packed weights" in done.stdout
    assert "equal to the bit" in done.stdout
    size = (bundle / "weights.packed").stat().st_size
    assert json.loads((bundle / "metrics.json").read_text())["size_bytes"] == size


def test_a_bundle_whose_packed_file_is_damaged_or_taken_out_is_noticed(bundle, tmp_path, prunefront):
    damaged = shutil.copytree(bundle, tmp_path / "damaged")
    content = bytearray((damaged / "weights.packed").read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / "weights.packed").write_bytes(bytes(content))
    done = prunefront("verify", damaged)
    assert done.returncode == 1
    assert "weights.packed was changed" in done.stderr
    without = shutil.copytree(bundle, tmp_path / "without")
    (without / "weights.packed").unlink()
    sums = (without / "SHA256SUMS").read_text().splitlines(keepends=True)
    (without / "SHA256SUMS").write_text("".join(line for line in sums if "weights.packed" not in line))
    done = prunefront("verify", without)
    assert done.returncode == 1
    assert "it must name" in done.stderr
    assert "weights.packed" in done.stderr


def test_a_damaged_trial_is_not_exported(coded, tmp_path, prunefront):
    copy = shutil.copytree(coded, tmp_path / "copy")
    path = copy / "trials" / "1" / "weights.packed"
    path.write_bytes(path.read_bytes()[:-1])
    done = prunefront("export", copy, 1, "--out", tmp_path / "bundle")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(path) in done.stderr
    assert not (tmp_path / "bundle").exists()

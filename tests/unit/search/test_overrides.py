"""`--set` as a person types it."""

import pytest


def test_imagenet_weights_that_cannot_be_had_end_a_training_before_it_begins(
    prunefront, tiny_sweep, tmp_path, monkeypatch
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    words = ("--set", "network.name=resnet18", "--set", "network.weights=imagenet")
    done = prunefront("train", tiny_sweep, "--baselines", tmp_path / "baselines", *words)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "put resnet18-f37072fd.pth of download.pytorch.org/models into" in done.stderr
    assert not (tmp_path / "baselines").exists()


@pytest.mark.parametrize("verb", ["train", "sweep"])
def test_an_unknown_key_is_refused_with_its_nearest(prunefront, tiny_sweep, verb):
    done = prunefront(verb, tiny_sweep, "--set", "dense.epochs=3", "--set", "dense.epohcs=3")
    assert done.returncode == 2
    assert "unknown key 'dense.epohcs': did you mean 'epochs'?" in done.stderr
    assert done.stderr.count("\n") == 1

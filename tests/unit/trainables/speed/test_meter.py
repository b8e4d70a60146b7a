import json
from dataclasses import asdict

import pytest
import torch

from retrieval.networks.network import build_network
from retrieval.runtime.latency import LatencySettings
from retrieval.runtime.onnx_model import to_onnx
from trainables.speed.meter import MeterActor

SETTINGS = LatencySettings(image_size=64, pairs=25, warm_up=1)


@pytest.fixture(scope="module")
def model() -> bytes:
    torch.manual_seed(0)
    return to_onnx(build_network("mini_resnet", descriptor_size=16), 64)


def test_of_two_that_asked_before_either_was_measured_the_second_gets_the_firsts_measurement(tmp_path, model):
    meter, keep = MeterActor(threads=1), tmp_path / "speeds" / "a.json"
    first = meter.measure(model, model, SETTINGS, keep)
    assert meter.measure(model, model, SETTINGS, keep) == first
    assert json.loads(keep.read_text()) == asdict(first)
    assert 0.5 < first.speedup < 2
    assert meter.measure(model, model, SETTINGS, None) != first

import pytest

from retrieval.runtime.latency import LatencySettings, Speedup
from trainables.speed.latency_cache import LatencyCache, Pair, pair_key, read_speed, write_speed

SETTINGS = LatencySettings(image_size=64, pairs=25, warm_up=1)
SPEEDUP = Speedup(dense_latency_ms=2.0, latency_ms=1.0, speedup=2.0, speedup_low=1.9, speedup_high=2.1)


def measured(dense, pruned, settings, keep) -> Speedup:
    write_speed(keep, SPEEDUP)
    return SPEEDUP


def never(*ignored):
    raise AssertionError("asked for although the speed is known")


def test_a_shape_is_exported_and_measured_once(tmp_path):
    pair = Pair("a shape", lambda: (b"dense", b"pruned"), SETTINGS)
    assert LatencyCache(tmp_path, measured)(pair) == SPEEDUP
    assert LatencyCache(tmp_path, never)(Pair("a shape", never, SETTINGS)) == SPEEDUP
    with pytest.raises(AssertionError):
        LatencyCache(tmp_path, never)(Pair("another shape", never, SETTINGS))


def test_a_damaged_speed_is_measured_again(tmp_path):
    (tmp_path / "a shape.json").write_text('{"speedup": 2')
    assert read_speed(tmp_path / "a shape.json") is None
    pair = Pair("a shape", lambda: (b"dense", b"pruned"), SETTINGS)
    assert LatencyCache(tmp_path, measured)(pair) == SPEEDUP
    assert read_speed(tmp_path / "a shape.json") == SPEEDUP


def test_the_key_follows_the_widths_and_what_else_makes_the_graph_or_the_timing(tiny_settings):
    key = pair_key({"a": 16, "b": 8}, tiny_settings)
    assert pair_key({"b": 8, "a": 16}, tiny_settings) == key
    threads = tiny_settings.model_copy(update={"latency": LatencySettings(image_size=64, threads=2)})
    scales = tiny_settings.descriptor.model_copy(update={"scales": (1.0, 0.7)})
    others = [
        pair_key({"a": 16, "b": 16}, tiny_settings),
        pair_key({"a": 16, "b": 8}, threads),
        pair_key({"a": 16, "b": 8}, tiny_settings.model_copy(update={"descriptor": scales})),
    ]
    assert len({key, *others}) == 4
    trained_otherwise = tiny_settings.finetune.model_copy(update={"seed": 5})
    assert pair_key({"a": 16, "b": 8}, tiny_settings.model_copy(update={"finetune": trained_otherwise})) == key

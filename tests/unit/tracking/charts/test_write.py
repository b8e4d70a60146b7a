"""What the files of a front and of a sensitivity map hold."""

import json
import math

from pyarrow import parquet

from pruning.schedule import Quantization, Sparsity
from tracking.charts.write import write_front, write_sensitivity
from tracking.front import build_front, read_front
from tracking.sensitivity import CutPoint, GroupSensitivity, SensitivityMap, read_sensitivity

DENSE = {
    "map": 0.62,
    "map_low": 0.6,
    "map_high": 0.64,
    "test_map": 0.6,
    "size_bytes": 4e7,
    "latency_ms": 30.0,
}


def test_no_finished_trial_gives_an_empty_front(tmp_path):
    front = build_front("tiny", [], DENSE)
    write_front(front, tmp_path)
    assert read_front(tmp_path) == front
    assert (front.points, front.hypervolume) == ((), 0.0)


def test_a_front_reads_back_equal(records, tmp_path):
    front = build_front("tiny", records, DENSE, provenance={"device": "cpu"})
    write_front(front, tmp_path)
    assert read_front(tmp_path) == front


def test_the_parquet_file_has_a_row_a_trial_and_the_front_as_metadata(records, tmp_path):
    front = build_front("tiny", records, DENSE)
    write_front(front, tmp_path)
    table = parquet.read_table(tmp_path / "front.parquet")
    assert table["trial"].to_pylist() == [0, 1, 2, 4]
    assert table["map"].to_pylist() == [point.metrics["map"] for point in front.points]
    assert table["test_map"].to_pylist() == [None, None, None, 0.53]
    assert table["width.conv1"].to_pylist() == [32] * 4
    assert json.loads(table.schema.metadata[b"prunefront"])["hypervolume"] == front.hypervolume


def test_the_parquet_file_tells_how_weights_are_coded(make_record, tmp_path):
    plain, coded = make_record(0, 0.5, 2.0), make_record(1, 0.6, 1.0)
    stages = {"sparsity": Sparsity(share=0.5), "quantization": Quantization(bits=5, group_bits={"conv1": 3})}
    coded = coded.model_copy(update={"schedule": coded.schedule.model_copy(update=stages)})
    write_front(build_front("tiny", [plain, coded], DENSE), tmp_path)
    table = parquet.read_table(tmp_path / "front.parquet")
    assert table["quantization.bits"].to_pylist() == [None, 5]
    assert table["sparsity.share"].to_pylist() == [None, 0.5]
    assert table["bits.conv1"].to_pylist() == [None, 3]
    assert table["macs_saved.conv1"].to_pylist() == [0, 0]


def test_the_picture_is_a_png(records, tmp_path):
    write_front(build_front("costs $5 and $6", records, DENSE), tmp_path)
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")


def test_a_map_comes_back_from_its_file_even_with_nan(tmp_path):
    whole = SensitivityMap(
        network="tiny",
        method="l1",
        quality="map",
        dense=0.8,
        dense_macs=1000,
        ratios=(0.25, 0.5, 0.75),
        round_to=8,
        groups=(_group("a", {48: 0.7, 32: math.nan}), _group("b", {16: 0.1})),
    )
    write_sensitivity(whole, tmp_path)
    assert repr(read_sensitivity(tmp_path)) == repr(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "sensitivity.html",
        "sensitivity.json",
        "sensitivity.png",
    ]


def _group(name: str, qualities: dict[int, float]) -> GroupSensitivity:
    points = (CutPoint(kept=kept, quality=quality, macs_saved=64 - kept) for kept, quality in qualities.items())
    return GroupSensitivity(group=name, width=64, points=tuple(points))

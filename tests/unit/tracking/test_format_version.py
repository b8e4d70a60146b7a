import json
import math

import pytest
from pydantic import BaseModel

from tracking.format_version import JsonFormat, UnknownFormatError, check_version
from tracking.front import FRONT_JSON, build_front, read_front
from tracking.record import DENSE_JSON, RECORD_JSON, DenseMetrics, read_record, write_record
from tracking.sensitivity import SENSITIVITY_JSON, CutPoint, GroupSensitivity, SensitivityMap, read_sensitivity


class Note(BaseModel, frozen=True, extra="forbid"):
    text: str = ""


NOTE = JsonFormat("a note", Note, version=3)
MAP = SensitivityMap(
    network="tiny",
    method="l1",
    quality="map",
    dense=0.8,
    dense_macs=1000,
    ratios=(0.5,),
    round_to=8,
    groups=(GroupSensitivity(group="a", width=64, points=(CutPoint(kept=32, quality=0.5, macs_saved=9),)),),
)


@pytest.mark.parametrize("note", [Note(text="größer"), Note()])
def test_a_file_carries_its_version_and_comes_back(tmp_path, note):
    path = tmp_path / "new" / "note.json"
    NOTE.write(path, note)
    assert json.loads(path.read_text())["format_version"] == 3
    assert NOTE.read(path) == note


@pytest.mark.parametrize("fields", [{}, {"format_version": 1}, {"format_version": 2}])
def test_a_file_of_an_earlier_version_or_without_one_is_read(tmp_path, fields):
    path = tmp_path / "note.json"
    path.write_text(json.dumps({**fields, "text": "old"}))
    assert NOTE.read(path) == Note(text="old")


@pytest.mark.parametrize("version", [4, 0, "2", 2.0, True, None])
def test_an_unknown_version_is_refused_in_one_line(tmp_path, version):
    path = tmp_path / "note.json"
    # Of a field that only the other version has there must be no word: the version says it all.
    path.write_text(json.dumps({"format_version": version, "colour": "red"}))
    with pytest.raises(UnknownFormatError) as caught:
        NOTE.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path} is a note of format version {version!r}; this prunefront reads version 1 to 3")
    assert "\n" not in message


def test_the_only_version_is_named_as_such():
    with pytest.raises(UnknownFormatError, match="reads version 1 only: use the prunefront that wrote it"):
        check_version(2, "sweep.json", "a sweep")


def test_records_fronts_maps_and_dense_metrics_carry_their_version(make_record, tmp_path):
    record = make_record(0, 0.5, 2.0)
    formats = {
        RECORD_JSON: record,
        FRONT_JSON: build_front("tiny", [record], {"map": 0.6}),
        SENSITIVITY_JSON: MAP,
        DENSE_JSON: DenseMetrics({"map": 0.6}),
    }
    for number, (file_format, content) in enumerate(formats.items()):
        file_format.write(tmp_path / f"{number}", content)
        assert next(iter(json.loads((tmp_path / f"{number}").read_text()).items())) == ("format_version", 1)
        assert file_format.read(tmp_path / f"{number}") == content


def test_files_from_before_there_were_versions_are_read(make_record, tmp_path):
    record = make_record(0, 0.5, 2.0)
    front = build_front("tiny", [record], {"map": 0.6})
    for name, content in {"record": record, "front": front, "sensitivity": MAP}.items():
        (tmp_path / f"{name}.json").write_text(content.model_dump_json(indent=2))
    (tmp_path / "dense.json").write_text(json.dumps({"map": 0.6, "test_map": math.nan}))
    assert read_record(tmp_path / "record.json") == record
    assert read_front(tmp_path) == front
    assert read_sensitivity(tmp_path) == MAP
    assert DENSE_JSON.read(tmp_path / "dense.json").root["map"] == 0.6


def test_a_record_of_a_newer_version_is_refused(make_record, tmp_path):
    path = tmp_path / "record.json"
    write_record(path, make_record(0, 0.5, 2.0))
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(UnknownFormatError, match=r"record\.json is a trial's record of format version 2"):
        read_record(path)

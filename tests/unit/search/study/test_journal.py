"""The journal: whole lines only, on disk when it matters."""

import json
import os
from pathlib import Path

import pytest
from optuna.trial import TrialState

from search.study.journal import Journal, open_study
from tracking.format_version import UnknownFormatError


def study_at(path: Path):
    return open_study(path, ("map", "speedup"))


def tell_trials(path: Path, count: int) -> None:
    study = study_at(path)
    for _ in range(count):
        trial = study.ask()
        study.tell(trial, [trial.suggest_float("x", 0, 1), 1.0])


def test_costs_are_minimised_where_less_is_better(tmp_path):
    study = open_study(tmp_path / "journal.log", ("recall_at_1", "macs", "speedup"))
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE", "MAXIMIZE"]
    assert study.metric_names == ["recall_at_1", "macs", "speedup"]


@pytest.mark.parametrize("end", [b'{"op_code": 4, "worker_id"', b"\x00" * 30, b"\x00" * 30 + b"\n", b'{"a": \n{"b'])
def test_what_a_crash_left_at_the_end_is_cut_off(tmp_path, end):
    path = tmp_path / "journal.log"
    tell_trials(path, 3)
    whole = path.read_bytes()
    path.write_bytes(whole + end)
    assert [trial.state for trial in study_at(path).trials] == [TrialState.COMPLETE] * 3
    assert path.read_bytes().startswith(whole)
    assert not path.read_bytes()[len(whole) :].startswith(end)


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "journal.log"
    tell_trials(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], b"\x00\x00\n", *lines[4:]]))
    with pytest.raises(ValueError, match=r"line 5 of .*journal.log is damaged"):
        study_at(path)


def test_any_prefix_of_a_journal_is_a_study_that_goes_on(tmp_path):
    path = tmp_path / "journal.log"
    tell_trials(path, 2)
    content = path.read_bytes()
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        tell_trials(path, 1)
        assert study_at(path).trials[-1].state == TrialState.COMPLETE


def test_a_restarted_sampler_does_not_draw_the_same_again(tmp_path):
    path = tmp_path / "journal.log"
    for _ in range(4):
        tell_trials(path, 1)
    assert len({trial.params["x"] for trial in study_at(path).trials}) == 4


def test_many_lines_wait_for_the_disk_once(tmp_path, monkeypatch):
    waits = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (waits.append(handle), real(handle)))
    journal = Journal(tmp_path / "journal.log")
    for number in range(20):
        journal.append_logs([{"line": number}])
    journal.sync()
    journal.sync()
    assert len(waits) == 1
    assert [log["line"] for log in journal.read_logs(0)] == list(range(20))


def test_a_write_that_the_disk_refused_leaves_no_half_line(tmp_path, full_disk):
    path = tmp_path / "journal.log"
    journal = Journal(path)
    journal.append_logs([{"line": 0}])
    with full_disk(path.stat().st_size + 5), pytest.raises(OSError, match="too large"):
        journal.append_logs([{"line": 1}])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"line": 0}]
    journal.append_logs([{"line": 2}])
    assert [log["line"] for log in Journal(path).read_logs(0)] == [0, 2]


def test_a_new_journal_bears_its_format_version(tmp_path):
    assert study_at(tmp_path / "journal.log").user_attrs["format_version"] == 1


def test_a_journal_from_before_there_were_versions_goes_on(tmp_path):
    path = tmp_path / "journal.log"
    tell_trials(path, 2)
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if b"format_version" not in line]
    path.write_bytes(b"".join(lines))
    tell_trials(path, 1)
    assert len(study_at(path).trials) == 3
    assert b"format_version" not in path.read_bytes()


def test_a_journal_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "journal.log"
    tell_trials(path, 1)
    newer = path.read_bytes().replace(b'"format_version":1', b'"format_version":2') + b"torn"
    path.write_bytes(newer)
    with pytest.raises(UnknownFormatError, match=r"journal\.log is a sweep's journal of format version 2"):
        study_at(path)
    assert path.read_bytes() == newer

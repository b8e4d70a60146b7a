"""A run that is kept is used again, unless it was of other work, other code or other libraries."""

import json
from dataclasses import replace

import pytest

from benchmarks.search import kept_runs
from benchmarks.search.contenders import BY_TRIALS, DEFAULT
from benchmarks.search.kept_runs import KeptRuns, source_digest
from benchmarks.search.runs import Run
from search.study.budget import Budget

RUN = Run(hypervolumes=(0.5,), epochs=(9,), expected=((0.7, 2.0),))
OURS = BY_TRIALS[DEFAULT]


class Made:
    """Counts how often a run was made."""

    def __init__(self, folder, **choices):
        self.runs, self.count = KeptRuns(folder, **choices), 0

    def get(self, contender=OURS, trials=3) -> Run:
        return self.runs.get("smooth", "some name", 0, contender, Budget(trials=trials), self._make)

    def _make(self) -> Run:
        self.count += 1
        return RUN


def change(folder, **fields):
    path = folder / "smooth" / "some_name" / "0.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_kept_run_is_not_made_again(tmp_path):
    first, second = Made(tmp_path), Made(tmp_path)
    assert first.get() == second.get() == RUN
    assert (first.count, second.count) == (1, 0)
    assert second.runs.commits == first.runs.commits != set()


def test_other_work_is_made_again_and_other_words_are_not(tmp_path):
    made = Made(tmp_path)
    made.get()
    made.get(replace(OURS, meaning="in other words"))
    assert made.count == 1
    made.get(replace(OURS, sampler="random"))
    made.get(replace(OURS, sampler="random"), trials=4)
    assert made.count == 3


@pytest.mark.parametrize("fields", [{"source": "other"}, {"provenance": {"git_commit": "a", "optuna": "0.1"}}])
def test_a_run_of_other_code_counts_only_where_that_is_asked_for(tmp_path, fields):
    Made(tmp_path).get()
    change(tmp_path, **fields)
    tolerant, strict = Made(tmp_path, any_source=True), Made(tmp_path)
    tolerant.get()
    strict.get()
    assert (tolerant.count, strict.count) == (0, 1)


def test_a_file_of_another_form_is_made_again(tmp_path):
    Made(tmp_path).get()
    path = tmp_path / "smooth" / "some_name" / "0.json"
    for content in ('{"hypervolumes": [1.0], "epochs": [9]}', '{"work": '):
        path.write_text(content)
        made = Made(tmp_path)
        assert made.get() == RUN
        assert made.count == 1


def test_the_source_is_told_by_content(tmp_path, monkeypatch):
    before = source_digest()
    source_digest.cache_clear()
    assert source_digest() == before
    monkeypatch.setattr(kept_runs, "_SOURCES", (*kept_runs._SOURCES, "Makefile"))
    source_digest.cache_clear()
    assert source_digest() != before
    monkeypatch.undo()
    source_digest.cache_clear()

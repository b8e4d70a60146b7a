"""An error in a Ray task is one line on the driver, with its status, and its trace in a file."""

import os
import re
from pathlib import Path

import pytest
import ray

from search import errors
from search.driver.results import result_of

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def raising(local_ray):
    @ray.remote(max_retries=0)
    def run(kind: str) -> None:
        if kind == "killed":
            os._exit(1)
        raise {"input": ValueError, "failure": RuntimeError}[kind]("first\nsecond")

    return run


@pytest.mark.parametrize(
    ("kind", "error", "line"),
    [
        ("input", "BadInputError", r"training failed: first second \(the trace is in (.*)\)"),
        ("failure", "FailedError", r"training failed: RuntimeError: first second \(the trace is in (.*)\)"),
        ("killed", "FailedError", r"training failed: its process was ended, .* \(the trace is in (.*)\)"),
    ],
)
def test_a_task_that_fails(raising, tmp_path, kind, error, line):
    with pytest.raises(getattr(errors, error)) as caught:
        result_of(raising.remote(kind), "training", tmp_path)
    trace = Path(re.fullmatch(line, str(caught.value))[1])
    assert trace.parent == tmp_path / "traces"
    assert trace.read_text()

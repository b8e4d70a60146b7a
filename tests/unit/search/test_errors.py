"""An error in what a user gave is one line; a fault of the machine stays what it is."""

import pytest

from search.errors import BadInputError, FailedError, failures_are_traced, input_is_checked, write_trace


@pytest.mark.parametrize(
    "error", [ValueError("wrong\n  here"), FileNotFoundError("wrong here"), PermissionError("wrong here")]
)
def test_bad_input_is_one_line(error):
    with pytest.raises(BadInputError, match=r"^wrong here$"), input_is_checked():
        raise error


@pytest.mark.parametrize("error", [OSError("disk full"), KeyError("ours")])
def test_other_errors_pass_through(error):
    with pytest.raises(type(error)), input_is_checked():
        raise error


def test_an_unforeseen_error_is_one_line_with_its_trace_in_the_folder(tmp_path):
    with pytest.raises(FailedError) as caught, failures_are_traced("training", tmp_path):
        raise RuntimeError("a\nb")
    (trace,) = (tmp_path / "traces").iterdir()
    assert str(caught.value) == f"training: RuntimeError: a b (the trace is in {trace})"
    assert "Traceback" in trace.read_text()


def test_an_error_of_the_input_keeps_its_status(tmp_path):
    with pytest.raises(BadInputError, match=r"^training: a b "), failures_are_traced("training", tmp_path):
        raise ValueError("a\nb")


@pytest.mark.parametrize("error", [BadInputError("a"), FailedError("a")])
def test_what_is_said_already_is_not_said_again(tmp_path, error):
    with pytest.raises(type(error), match=r"^a$"), failures_are_traced("training", tmp_path):
        raise error
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_yet_is_not_made(tmp_path):
    trace = write_trace(RuntimeError("a"), tmp_path / "sweep")
    assert trace.is_file()
    assert not (tmp_path / "sweep").exists()
    trace.unlink()

"""An error in what a user gave is one line; a fault of the machine stays what it is."""

import pytest

from search.errors import BadInputError, input_is_checked


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

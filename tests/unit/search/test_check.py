import pytest

from search.check import describe_data


def test_a_sweeps_data_is_recognised_and_counted(tiny_data):
    lines = list(describe_data(tiny_data))
    assert "a sweep's data" in lines[0]
    assert lines[1] == "train: 96 images of 16 places"
    assert lines[2] == "val: 44 images, 8 queries, 64 positives, 8 junk"
    assert lines[-1] == "184 images read: all are sound"


def test_a_bare_oxford_folder_is_recognised(tiny_data):
    lines = list(describe_data(tiny_data / "test"))
    assert "Oxford5k layout" in lines[0]
    assert "8 queries" in lines[1]
    assert lines[2] == "44 images read: all are sound"


def test_something_else_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no gt/"):
        list(describe_data(tmp_path))

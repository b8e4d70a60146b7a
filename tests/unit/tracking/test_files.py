import os
import stat
import threading

import pytest

from tracking.files import write_atomically


def test_a_file_is_replaced_whole_and_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "record.json"
    write_atomically(path, "a long first version")
    write_atomically(path, b"short")
    assert path.read_bytes() == b"short"
    assert os.listdir(path.parent) == ["record.json"]


def test_text_is_utf_8_with_line_ends_as_they_are(tmp_path):
    write_atomically(tmp_path / "x", "für\r\n÷\n")
    assert (tmp_path / "x").read_bytes() == "für\r\n÷\n".encode()


def test_colleagues_may_read_what_is_written(tmp_path):
    write_atomically(tmp_path / "x", "1")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o644


def test_a_full_disk_leaves_the_old_file_and_names_the_new_one(tmp_path, full_disk):
    path = tmp_path / "x"
    write_atomically(path, "old")
    with full_disk(), pytest.raises(OSError, match=r"File too large: '.*/x'"):
        write_atomically(path, b"n" * 5000)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


def test_what_cannot_be_written_there_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"'.*/file/x'"):
        write_atomically(tmp_path / "file" / "x", "1")
    with pytest.raises(OSError, match=r"'.*/folder'"):
        write_atomically(tmp_path / "folder", "1")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_reader_sees_one_version_or_another_and_never_half(tmp_path):
    path, versions = tmp_path / "x", [bytes([letter]) * 100_000 for letter in b"abcd"]
    write_atomically(path, versions[0])
    writing = threading.Thread(target=lambda: [write_atomically(path, each) for each in versions * 10])
    writing.start()
    seen = set()
    while writing.is_alive():
        seen.add(path.read_bytes())
    writing.join()
    assert seen <= set(versions)
    assert path.read_bytes() == versions[-1]

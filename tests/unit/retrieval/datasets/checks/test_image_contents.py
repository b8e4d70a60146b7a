import os
from pathlib import Path

import pytest

from retrieval.datasets.checks.image_contents import ImageContents

SIZE = 20_000  # longer than what is read at both ends


def write(file: Path, middle: bytes = b"\0", end: bytes = b"\0") -> Path:
    file.write_bytes(bytes(SIZE // 2) + middle + bytes(SIZE // 2 - 2) + end)
    return file


def test_one_file_a_link_and_a_copy_are_one_content(tmp_path):
    file, other = write(tmp_path / "a.jpg", middle=b"a"), write(tmp_path / "b.jpg", middle=b"b")
    (tmp_path / "sub").mkdir()
    spelt = tmp_path / "sub" / ".." / "a.jpg"
    soft, hard, copy = tmp_path / "soft.jpg", tmp_path / "hard.jpg", tmp_path / "copy.jpg"
    soft.symlink_to(file)
    os.link(file, hard)
    copy.write_bytes(file.read_bytes())
    contents = ImageContents.of([file, other, spelt, soft, hard, copy], threads=2)
    numbers = contents.numbers([file, spelt, soft, hard, copy])
    assert len(set(numbers.tolist())) == 1
    assert contents.numbers([other])[0] != numbers[0]


@pytest.mark.parametrize("part", ["middle", "end"])
def test_files_of_one_size_that_differ_anywhere_are_not_the_same(tmp_path, part):
    files = [write(tmp_path / f"{letter}.jpg", **{part: letter.encode()}) for letter in "abc"]
    assert len(set(ImageContents.of(files).numbers(files).tolist())) == 3


def test_a_file_that_is_not_there_equals_nothing(tmp_path):
    missing = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    contents = ImageContents.of([write(tmp_path / "c.jpg"), *missing])
    assert contents.numbers(missing).tolist() == [-1, -1]


def test_only_files_of_equal_size_are_read(tmp_path):
    files = [tmp_path / f"{length}.jpg" for length in (1, 2, 3)]
    for length, file in enumerate(files, start=1):
        file.write_bytes(bytes(length))
        file.chmod(0)
    assert len(set(ImageContents.of(files).numbers(files).tolist())) == 3

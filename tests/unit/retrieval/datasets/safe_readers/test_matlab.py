import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from retrieval.datasets.safe_readers import mat_file
from retrieval.datasets.safe_readers.mat_file import read_matrices, read_values
from retrieval.datasets.safe_readers.matlab import read_struct, read_variables, strings, struct_rows


def _cells(texts: list[str]) -> np.ndarray:
    column = np.empty((len(texts), 1), dtype=object)
    column[:, 0] = texts
    return column


def _rows() -> np.ndarray:
    rows = np.empty((1, 2), dtype=[("ok", object), ("bbx", object)])
    for number in range(2):
        rows["ok"][0, number] = np.arange(1.0, 2 + number).reshape(1, -1)
        rows["bbx"][0, number] = np.array([[1.5, 2, 30, 40.25]])
    return rows


_VARIABLES: dict[str, Any] = {
    "dbStruct": {"whichSet": "test", "dbImageFns": _cells(["000/a.jpg", "", "é.jpg"]), "utmDb": np.eye(2, 3)},
    "gnd": _rows(),
    "rows": np.array(["abc", "d  "]),
    "counts": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "large": np.array([[2**60 + 1]], dtype=np.int64),
    "single": np.array([[0.5]], dtype=np.float32),
    "yes": np.array([[True, False]]),
    "empty": np.zeros((0, 4)),
    "nested": _cells(["x"]).reshape(1, 1),
}


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    savemat(tmp_path / "any.mat", _VARIABLES, do_compression=request.param)
    return tmp_path / "any.mat"


def _assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    if theirs.dtype.names:
        assert ours.dtype.names == theirs.dtype.names
        for name in theirs.dtype.names:
            _assert_same(ours[name], theirs[name])
    elif theirs.dtype == object:
        for mine, other in zip(ours.ravel(), theirs.ravel(), strict=True):
            _assert_same(mine, other)
    else:
        np.testing.assert_array_equal(ours, theirs)


def test_every_variable_is_read_as_scipy_reads_it(file: Path) -> None:
    theirs = {name: value for name, value in loadmat(file).items() if not name.startswith("__")}
    ours = read_variables(file)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        _assert_same(ours[name], value)


def test_numbers_come_as_float64_so_that_one_less_than_zero_is_less_than_zero(file: Path) -> None:
    counts = read_variables(file)["counts"]
    assert counts.dtype == np.float64
    assert (counts - 1).min() == -1


def test_integers_of_64_bits_stay_exact(file: Path) -> None:
    assert read_variables(file)["large"].tolist() == [[2**60 + 1]]


def test_a_struct_is_read_by_the_names_of_its_fields_in_their_order(file: Path) -> None:
    fields = read_struct(file, "dbStruct")
    assert list(fields) == ["whichSet", "dbImageFns", "utmDb"]
    assert strings(fields["whichSet"]) == ["test"]
    assert strings(fields["dbImageFns"]) == ["000/a.jpg", "", "é.jpg"]
    assert fields["utmDb"].tolist() == [[1, 0, 0], [0, 1, 0]]


def test_a_row_of_structs_is_read_one_by_one(file: Path) -> None:
    rows = struct_rows(file, read_variables(file), "gnd")
    assert [row["ok"].tolist() for row in rows] == [[[1]], [[1, 2]]]
    assert rows[1]["bbx"].tolist() == [[1.5, 2, 30, 40.25]]


def test_texts_come_from_cells_of_either_direction_and_from_rows_of_letters(file: Path) -> None:
    assert strings(_cells(["a", "b"])) == strings(_cells(["a", "b"]).T) == ["a", "b"]
    assert strings(read_variables(file)["rows"]) == ["abc", "d  "]


def test_a_cell_that_holds_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a cell holds float64 of shape \(1, 1\)"):
        strings(np.array([np.ones((1, 1)), None], dtype=object)[:1])


def test_a_variable_that_is_missing_no_struct_or_several_is_named_with_the_file(file: Path) -> None:
    for variable, said in (
        ("dbstruct", r"holds \['counts', .*\] and no 'dbstruct'"),
        ("counts", r"'counts' is float64 of shape \(2, 3, 4\)"),
        ("gnd", "'gnd' is a row of 2 structs"),
    ):
        with pytest.raises(ValueError, match=rf"any\.mat.*{said}"):
            read_struct(file, variable)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.mat cannot be opened \(No such file or directory\)"):
        read_variables(tmp_path / "none.mat")


def test_a_file_of_the_newest_kind_says_how_to_save_it(tmp_path: Path) -> None:
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(64))
    with pytest.raises(ValueError, match=r"new\.mat cannot be read: version 2\.0, .*save it with -v7"):
        read_variables(tmp_path / "new.mat")


def _element(kind: int, data: bytes) -> bytes:
    return struct.pack(">II", kind, len(data)) + data.ljust(-(-len(data) // 8) * 8, b"\0")


def _big_endian(path: Path, kind: int, shape: bytes, *values: bytes) -> Path:
    """A file of one array `x`."""
    array = _element(14, b"".join((_element(6, struct.pack(">II", kind, 0)), shape, _element(1, b"x"), *values)))
    path.write_bytes(b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + array)
    return path


_ONE_BY_TWO = _element(5, struct.pack(">ii", 1, 2))


def test_a_big_endian_file_is_read(tmp_path: Path) -> None:
    file = _big_endian(tmp_path / "big.mat", 6, _ONE_BY_TWO, _element(3, struct.pack(">hh", -2, 258)))
    assert read_variables(file)["x"].tolist() == [[-2, 258]]


@pytest.mark.parametrize(
    ("kind", "shape", "values"),
    [
        pytest.param(6, _element(9, struct.pack(">dd", np.inf, 1)), [_element(9, b"")], id="infinite shape"),
        pytest.param(6, _element(9, struct.pack(">dd", np.nan, 1)), [_element(9, b"")], id="shape that is no number"),
        pytest.param(2, _ONE_BY_TWO, [_element(7, struct.pack(">f", np.inf)), _element(1, b"a")], id="infinite names"),
        pytest.param(6, _element(13, struct.pack(">QQ", 0, 2**64 - 1)), [_element(9, b"")], id="nothing, endlessly"),
        pytest.param(2, _ONE_BY_TWO, [_element(5, b"\0\0\0\1")], id="no names"),
    ],
)
def test_forged_sizes_are_one_line(tmp_path: Path, kind: int, shape: bytes, values: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"forged\.mat cannot be read: "):
        read_variables(_big_endian(tmp_path / "forged.mat", kind, shape, *values))


def test_cells_in_cells_without_end_are_one_line(tmp_path: Path) -> None:
    once = _element(5, struct.pack(">ii", 1, 1))
    cell = b""
    for _ in range(1_500):
        cell = _element(14, _element(6, struct.pack(">II", 1, 0)) + once + _element(1, b"") + cell)
    with pytest.raises(ValueError, match=r"deep\.mat cannot be read: .*recursion"):
        read_variables(_big_endian(tmp_path / "deep.mat", 1, once, cell))


def test_variables_that_grow_beyond_all_need_are_refused_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "zeros.mat"
    savemat(file, {"x": np.zeros((1, 8_000)), "y": np.zeros((1, 8_000))}, do_compression=True)
    assert read_variables(file)["y"].shape == (1, 8_000)
    monkeypatch.setattr(mat_file, "_MAX_BYTES", 100_000)  # one of them fits
    with pytest.raises(ValueError, match="a compressed variable is cut off, or all are above 100000 bytes"):
        read_variables(file)


def test_a_damaged_file_is_one_line_and_never_more(file: Path) -> None:
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    refused: list[str] = []
    for turn in range(600):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=3):
            damaged[place] = rng.integers(256)
        if turn % 3 == 0:
            del damaged[int(rng.integers(len(whole))) :]
        file.write_bytes(damaged)
        try:
            read_variables(file)
        except ValueError as error:
            # Not pytest.raises: some damage leaves a file that says something else.
            refused.append(str(error))
    assert len(refused) > 200
    assert all("any.mat cannot be read: " in said and "\n" not in said for said in refused)


def test_a_pickle_in_the_place_of_a_mat_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "any.mat").write_bytes(b"cos\nsystem\n(S'touch marker'\ntR.".ljust(256))
    with pytest.raises(ValueError, match="no header of MATLAB 5 to 7"):
        read_variables(tmp_path / "any.mat")


def test_what_no_ground_truth_needs_is_refused_by_its_class(tmp_path: Path) -> None:
    savemat(tmp_path / "complex.mat", {"x": np.array([[1j]])})
    with pytest.raises(ValueError, match="complex"):
        read_variables(tmp_path / "complex.mat")
    (matrix,) = read_matrices((tmp_path / "complex.mat").read_bytes()).values()
    with pytest.raises(ValueError, match="class 5 "):
        read_values(matrix._replace(kind=5))

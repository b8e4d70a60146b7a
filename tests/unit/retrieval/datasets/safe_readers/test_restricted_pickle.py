import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.datasets.safe_readers.restricted_pickle import load_pickle

# As Python 2 wrote an array: byte strings throughout, the old names of numpy's modules, `\x01` for text.
_PYTHON_2 = (
    b"\x80\x02}q\x01(U\x06imlistq\x02]q\x03(U\x03a_1q\x04U\x03b_2q\x05eU\x02okq\x06"
    b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09"
    b"(K\x01K\x02\x85cnumpy\ndtype\nq\x0aU\x02i8K\x00K\x01\x87Rq\x0b"
    b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
    b"U\x10\x03\x00\x00\x00\x00\x00\x00\x00\xe9\x00\x00\x00\x00\x00\x00\x00tbu."
)


def _written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "gnd_any.pkl"
    path.write_bytes(content)
    return path


def _refusal(tmp_path: Path, content: bytes) -> str:
    with pytest.raises(ValueError, match=r"gnd_any\.pkl cannot be read: ") as caught:
        load_pickle(_written(tmp_path, content))
    assert "\n" not in str(caught.value)
    assert "it must be a pickle of builtin containers" in str(caught.value)
    return str(caught.value)


def _objects() -> np.ndarray:
    objects = np.empty(2, dtype=object)
    objects[0], objects[1] = np.array([1, 2]), ["x", None]
    return objects


_VALUES: list[Any] = [
    {"imlist": ["a", "b"], "gnd": [{"ok": [0], "bbx": [1.5, 2.0, 3.0, 4.0]}]},
    (None, True, 7, 2**80, -1.5, 1j, "é", b"\xff\x00", b""),
    {3, 4},
    frozenset({5}),
    np.float32(2.5),
    [np.int64(3), np.bool_(True)],
]
_ARRAYS = [
    np.arange(6).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(3, dtype=">i4"),
    np.arange(6)[::2],
    np.array(["all_souls", "é"]),
    np.array([b"ab", b"c"]),
    np.array([True, False]),
    np.empty((0, 4)),
    np.array(5),
]


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_out_as_they_went_in_by_every_protocol(tmp_path: Path, protocol: int) -> None:
    for value in _VALUES:
        assert load_pickle(_written(tmp_path, pickle.dumps(value, protocol))) == value


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_come_out_as_they_went_in_by_every_protocol(tmp_path: Path, protocol: int) -> None:
    read = load_pickle(_written(tmp_path, pickle.dumps(_ARRAYS, protocol)))
    for array, wanted in zip(read, _ARRAYS, strict=True):
        np.testing.assert_array_equal(array, wanted)
        assert (array.dtype, array.shape) == (wanted.dtype, wanted.shape)
        assert array.flags.writeable


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_objects_are_settled_to_their_depth(tmp_path: Path, protocol: int) -> None:
    read = load_pickle(_written(tmp_path, pickle.dumps(_objects(), protocol)))
    assert read.dtype == object
    assert read[0].tolist() == [1, 2]
    assert read[1] == ["x", None]


def test_a_pickle_of_python_2_with_the_old_names_of_numpy_is_read(tmp_path: Path) -> None:
    read = load_pickle(_written(tmp_path, _PYTHON_2))
    assert read["imlist"] == ["a_1", "b_2"]
    assert read["ok"].tolist() == [3, 233]


def test_what_is_shared_stays_shared(tmp_path: Path) -> None:
    array = np.arange(3)
    first, second = load_pickle(_written(tmp_path, pickle.dumps([array, array])))
    assert first is second


class _Calls:
    """Pickles as a call of any function, the way attacks do."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def _text(module: str, name: str, marker: Path) -> bytes:
    return f"c{module}\n{name}\n(S'touch {marker}'\ntR.".encode()


def test_no_code_runs_whatever_a_pickle_calls(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    program = f"open({str(marker)!r}, 'w').close()"
    attacks = {
        "posix.system": pickle.dumps(_Calls(os.system, f"touch {marker}")),
        "builtins.eval": pickle.dumps(_Calls(eval, program)),
        "builtins.exec": pickle.dumps({"gnd": [_Calls(exec, program)]}),
        "builtins.getattr": pickle.dumps(_Calls(getattr, "x", "upper")),
        "builtins.__import__": pickle.dumps(_Calls(__import__, "antigravity")),
        "__builtin__.eval": f"c__builtin__\neval\n(S{program!r}\ntR.".encode(),
        "os.system": _text("os", "system", marker),
        "subprocess.getoutput": _text("subprocess", "getoutput", marker),
        "numpy.load": _text("numpy", "load", marker),
        "numpy.testing._private.utils.runstring": b"cnumpy.testing._private.utils\nrunstring\n(S'1'\n}tR.",
        "numpy.f2py.crackfortran.myeval": b"cnumpy.f2py.crackfortran\nmyeval\n(S'1'\ntR.",
        "numpy.core.multiarray.fromfile": b"cnumpy.core.multiarray\nfromfile\n(S'/etc/passwd'\ntR.",
        "copyreg._reconstructor": b"ccopyreg\n_reconstructor\n(c__builtin__\nset\nc__builtin__\nset\nNtR.",
        "numpy.ndarray.tofile": b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
        "functools.partial": b"cfunctools\npartial\n(tR.",
    }
    for asked, attack in attacks.items():
        assert f"it asks for {asked};" in _refusal(tmp_path, attack)
        assert not marker.exists()
    # And it was one: read by the library, it runs.
    pickle.loads(attacks["builtins.eval"])
    assert marker.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"Psecret\n.", "PERSID"),
        (b"\x80\x02X\x01\x00\x00\x00aQ.", "BINPERSID"),
        (b"(S'x'\nios\nsystem\n.", "INST"),
        (b"(cos\nsystem\nS'x'\no.", "OBJ"),
        (b"\x80\x02c__builtin__\nset\n)\x81.", "NEWOBJ"),
    ],
)
def test_opcodes_that_make_objects_in_other_ways_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    assert f"outside these ({said})" in _refusal(tmp_path, content)


def _array(dtype: bytes, shape: bytes, items: bytes, kind: bytes = b"cnumpy\nndarray\n") -> bytes:
    head = b"cnumpy.core.multiarray\n_reconstruct\n(" + kind + b"(I0\ntS'b'\ntR"
    return head + b"(I1\n" + shape + dtype + b"I00\n" + items + b"tb."


_INT64 = b"cnumpy\ndtype\n(S'i8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
_OBJECT = b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI63\ntb"
_EIGHT = b"S'12345678'\n"


def test_the_array_that_the_forgeries_below_start_from_is_read(tmp_path: Path) -> None:
    read = load_pickle(_written(tmp_path, _array(_INT64, b"(I1\nt", _EIGHT)))
    assert read.tolist() == [int.from_bytes(b"12345678", "little")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_array(_INT64, b"(I1000000\nt", _EIGHT), "other than 1000000 × 8 bytes"),
        (_array(_INT64, b"(I-1\nt", _EIGHT), "a shape of other things"),
        (_array(_INT64, b"S'ab'\n", _EIGHT), "a shape of other things"),
        (_array(_INT64, b"(I1\nt", b"(I1\nl"), "other than 1 × 8 bytes"),
        (_array(b"cnumpy\nndarray\n", b"(I1\nt", _EIGHT), "an array _Made for a dtype"),
        # Eight bytes taken for a pointer would be the end of the process, or worse.
        (_array(_OBJECT, b"(I1\nt", _EIGHT), "it gives no list of 1"),
        (_array(_INT64.replace(b"NNN", b"NNS'x'\n"), b"(I1\nt", _EIGHT), "an array of records"),
        (_array(_INT64.replace(b"i8", b"V8"), b"(I1\nt", _EIGHT), "of dtype 'V8'"),
        (_array(_INT64.replace(b"i8", b"i4,O"), b"(I1\nt", _EIGHT), "of dtype 'i4,O'"),
        (_array(_INT64.replace(b"i8", b"S0"), b"(I99999999999\nt", b"S''\n"), "other than 99999999999 × 0 bytes"),
        (_array(_INT64, b"(I1\nt", _EIGHT, kind=b"c__builtin__\nset\n"), "of the class _Made"),
        (_array(_INT64, b"(I1\nt", _EIGHT, kind=b"cnumpy\nmatrix\n"), "numpy.matrix"),
        (b"cnumpy.core.multiarray\nscalar\n(" + _OBJECT + b"S'12345678'\ntR.", "a scalar of dtype Dtype"),
        (b"cnumpy\nndarray\n((I1\nttR.", "numpy.ndarray to be called"),
        (b"cnumpy\nndarray\n(dS'make'\nNsb.", "it changes numpy.ndarray"),
        (b"cnumpy.core.multiarray\n_reconstruct\n.", "which is no value"),
        (b"c_codecs\nencode\n(S'x'\nS'zlib_codec'\ntR.", "a text in 'zlib_codec'"),
        (b"c__builtin__\nset\n(I5\ntR.", "a set of int"),
    ],
)
def test_forged_arrays_and_names_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in _refusal(tmp_path, content)


def test_what_a_refused_pickle_tried_to_change_is_as_before(tmp_path: Path) -> None:
    _refusal(tmp_path, b"cnumpy.core.multiarray\n_reconstruct\n(N(dS'make'\nNstb.")
    assert load_pickle(_written(tmp_path, pickle.dumps(np.arange(2)))).tolist() == [0, 1]


def test_damage_anywhere_is_one_line(tmp_path: Path) -> None:
    whole = pickle.dumps(_ARRAYS, 2)
    for length in range(0, len(whole) - 1, 7):
        _refusal(tmp_path, whole[:length])
    rng = np.random.default_rng(0)
    refused: list[str] = []
    for _ in range(300):
        damaged = bytearray(_PYTHON_2)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        try:
            load_pickle(_written(tmp_path, bytes(damaged)))
        except ValueError as error:
            # Not pytest.raises: some damage leaves a pickle that says something else.
            refused.append(str(error))
    assert len(refused) > 100
    assert all("gnd_any.pkl cannot be read: " in said and "\n" not in said for said in refused)


def test_endless_structures_and_impossible_lengths_are_one_line(tmp_path: Path) -> None:
    _refusal(tmp_path, b"(lp0\ng0\na.")  # a list that holds itself
    _refusal(tmp_path, b"]" * 100_000 + b"a" * 99_999 + b".")
    _refusal(tmp_path, b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"ab.")
    assert "it remembers object 2147483647" in _refusal(tmp_path, b"Nr\xff\xff\xff\x7f.")


def test_a_file_that_is_missing_or_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing\.pkl cannot be opened \(No such file"):
        load_pickle(tmp_path / "nothing.pkl")
    with (tmp_path / "large.pkl").open("wb") as file:
        file.truncate((1 << 30) + 1)
    with pytest.raises(ValueError, match=r"large\.pkl has 1073741825 bytes"):
        load_pickle(tmp_path / "large.pkl")


_TUPLE, _SAME_TWICE, _AS_KEY = b"\x85", b"2\x86", b"Ns."


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x80\x02})" + _TUPLE * 200_000 + _AS_KEY, id="deep"),
        pytest.param(b"\x80\x02})" + (b"N0" + _TUPLE) * 200_000 + _AS_KEY, id="deep, with others in between"),
        pytest.param(b"\x80\x04(()" + _TUPLE * 200_000 + b"t\x91.", id="deep, in a set"),
        pytest.param(b"\x80\x02})" + _SAME_TWICE * 40 + _AS_KEY, id="wide"),
        pytest.param(
            b"\x80\x04})" + b"".join(b"\x940h%ch%c\x86" % (i, i) for i in range(40)) + _AS_KEY, id="wide, remembered"
        ),
    ],
)
def test_tuples_that_could_not_be_hashed_are_refused_before_anything_hashes_them(
    tmp_path: Path, content: bytes
) -> None:
    # Where they were not, the first three ended the process, and the others never came back.
    assert "it holds tuples in tuples without end" in _refusal(tmp_path, content)


def test_taking_what_is_not_there_is_refused_before_depths_are_lost(tmp_path: Path) -> None:
    assert "it takes what is not there (POP)" in _refusal(tmp_path, b"\x80\x02)(0\x85.")


def test_many_tuples_beside_each_other_are_no_depth(tmp_path: Path) -> None:
    boxes = [(float(number), (1, 2)) for number in range(5_000)]
    for protocol in range(6):
        assert load_pickle(_written(tmp_path, pickle.dumps(boxes, protocol))) == boxes

"""Reading untrusted pickles: only containers, scalars and numpy arrays come out, and nothing else is ever called.

A pickle is a program, and numpy's own part in reading one can be made to take numbers for pointers. So of what a
pickle may ask for, nothing is handed over: every name it may say stands for a function of this file, which builds an
array from bytes after checking that they fit. All else is refused by name, and so are tuples in tuples that would take
for ever to hash. What this does not guard against is a file made to fill the memory many times its own size.
"""

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from retrieval.text import one_line

# The largest published ground truth is a hundredth of it.
_MAX_BYTES = 1 << 30
# Python hashes a tuple by hashing what is in it, level below level on the processor's stack: some ten thousand levels
# end the process, and forty levels of the same tuple twice end never. The published files have three levels.
_MAX_DEPTH = 100
_MAX_HASHED = 1 << 28
_WANTED = "it must be a pickle of builtin containers, numbers, texts and numpy arrays"
_CODE = re.compile(r"[<>=|]?(?:[?]|[biufcSUO][0-9]{0,4}|[bBhHiIlLqQefdFD])")
# Each makes an object in a way of its own, or takes one from outside the file.
_REFUSED_OPCODES = frozenset(
    ("EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "NEXT_BUFFER")
)

_PUT, _GET = ("PUT", "BINPUT", "LONG_BINPUT"), ("GET", "BINGET", "LONG_BINGET")
_TUPLE = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")
_PLAIN = (0, 1)


def load_pickle(path: Path) -> Any:
    """Read a pickle of any protocol and of Python 2 or 3; byte strings of Python 2 are read as Latin-1.

    Lists, tuples, dicts, sets, numbers, texts, bytes, and numpy arrays and scalars of numbers, texts or objects that
    are themselves among these.

    Args:
        path: the file.

    Raises:
        ValueError: the file is missing, damaged, above one gibibyte, or asks for anything else; one line, with the
            file.
    """
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise ValueError(f"{path} has {size} bytes; a ground truth must have at most {_MAX_BYTES}")
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be opened ({error.strerror}); {_WANTED}") from error
    try:
        _check_opcodes(content)
        return settle(_Unpickler(io.BytesIO(content), encoding="latin1").load(), {})
    except Exception as error:
        # Damage shows as whatever error lies nearest: IndexError, TypeError, UnicodeDecodeError, MemoryError, ...
        said = one_line(error)
        raise ValueError(f"{path} cannot be read: {said}; {_WANTED}") from error


def _check_opcodes(content: bytes) -> None:
    """Refuse what no list or array needs, and a memo larger than the file: its table would be laid out in full."""
    tuples = _Tuples()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if opcode.name in _REFUSED_OPCODES:
            raise ValueError(f"it asks for an object outside these ({opcode.name})")
        if opcode.name in _PUT and not 0 <= int(argument or 0) <= count + 1:
            raise ValueError(f"it remembers object {argument} after {count}")
        tuples.follow(opcode, argument)


class _Tuples:
    """The cost of hashing each object on the unpickler's stack: its levels of tuples, and the values in all of them.

    Only tuples count, since a tuple that holds anything else that holds objects has no hash, or has it already.
    """

    def __init__(self) -> None:
        self._stack: list[tuple[int, int]] = []
        self._marks: list[int] = []
        self._memo: dict[int, tuple[int, int]] = {}
        self._hashed = 0

    def follow(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        """Do to the stack what the opcode does.

        Args:
            opcode: of the pickle.
            argument: of the opcode.

        Raises:
            ValueError: the pickle nests or repeats too much.
        """
        if opcode.name == "MARK":
            self._marks.append(len(self._stack))
        elif opcode.name == "DUP":
            self._stack.append(self._stack[-1])
        elif opcode.name in _GET:
            self._stack.append(self._memo.get(int(argument), _PLAIN))
        elif opcode.name in _PUT:
            self._memo[int(argument)] = self._stack[-1]
        elif opcode.name == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        else:
            taken = self._take(opcode)
            made = (1 + max(taken)[0], 1 + sum(size for _, size in taken)) if taken else _PLAIN
            self._hashed += made[1]
            if made[0] > _MAX_DEPTH or self._hashed > _MAX_HASHED:
                raise ValueError("it holds tuples in tuples without end")
            self._stack += [made if opcode.name in _TUPLE else _PLAIN] * len(opcode.stack_after)

    def _take(self, opcode: pickletools.OpcodeInfo) -> list[tuple[int, int]]:
        before = opcode.stack_before
        is_marked = pickletools.markobject in before
        end = self._marks.pop() if is_marked else len(self._stack)
        start = end - (before.index(pickletools.markobject) if is_marked else len(before))
        if start < (self._marks[-1] if self._marks else 0):
            raise ValueError(f"it takes what is not there ({opcode.name})")
        taken = self._stack[start:]
        del self._stack[start:]
        return taken


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> "_Made":
        made = ADMITTED.get((module, name))
        if made is None:
            raise ValueError(f"it asks for {module}.{name}")
        return made

    def persistent_load(self, pid: Any) -> NoReturn:
        raise ValueError("it asks for an object outside itself")


class _Made:
    """A name that a pickle may say, and what is done when it calls it."""

    __slots__ = ("make", "name")

    def __init__(self, name: str, make: Callable[..., Any]) -> None:
        self.name = name
        self.make = make

    def __call__(self, *arguments: Any) -> Any:
        return self.make(*arguments)

    def __setstate__(self, state: Any) -> NoReturn:
        # Without this the state would be set as attributes, on an object that all later pickles share.
        raise ValueError(f"it changes {self.name}")


@dataclass
class Dtype:
    """A dtype as a pickle builds it: by its code, then by a state that says the order of the bytes."""

    code: str
    order: str = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "=", "|") or any(part is not None for part in state[2:5]):
            raise ValueError(f"it asks for an array of records, or in an unknown order of bytes ({self.code!r})")
        self.order = state[1]

    def numpy(self) -> np.dtype[Any]:
        """Return the dtype itself."""
        return np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]


@dataclass
class Array:
    """An array as a pickle builds it: empty, then by its state. Its items are settled once all of them are there."""

    shape: tuple[int, ...] = (0,)
    dtype: Dtype | None = None
    fortran: bool = False
    items: Any = None

    @property
    def order(self) -> Literal["F", "C"]:
        """The index that runs fastest: the first (F) or the last (C)."""
        return "F" if self.fortran else "C"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, fortran, self.items = state
        self.fortran = bool(fortran)
        if not isinstance(self.dtype, Dtype):
            raise ValueError(f"it gives an array {_shown(self.dtype)} for a dtype")


def _reconstruct(kind: Any, shape: Any, code: Any) -> Array:
    if kind is not _NDARRAY:
        raise ValueError(f"it asks for an array of the class {_shown(kind)}")
    return Array()


def _dtype(code: Any, *flags: Any) -> Dtype:
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise ValueError(f"it asks for an array of dtype {_shown(code)}")
    return Dtype(code)


def _scalar(dtype: Any, content: Any) -> Any:
    if not isinstance(dtype, Dtype) or dtype.numpy().hasobject:
        raise ValueError(f"it asks for a scalar of dtype {_shown(dtype)}")
    return _from_bytes(Array((), dtype, False, content), dtype.numpy())[()]


def _frombuffer(content: Any, dtype: Any, shape: Any, order: Any) -> Array:
    array = Array()
    array.__setstate__((1, shape, dtype, order == "F", content))
    return array


def _encode(text: Any, encoding: Any) -> bytes:
    """Encode a text as Python 3 writes bytes for Python 2; no other codec is looked up."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError(f"it asks for a text in {_shown(encoding)}")
    return text.encode("latin1")


def _refuse(*arguments: Any) -> NoReturn:
    raise ValueError("it asks for numpy.ndarray to be called")


_NDARRAY = _Made("numpy.ndarray", _refuse)
ADMITTED: dict[tuple[str, str], _Made] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Made("numpy.dtype", _dtype),
    ("_codecs", "encode"): _Made("_codecs.encode", _encode),
}
"""What a pickle may ask for, by module and name, and what it is given instead."""
for _core in ("numpy.core", "numpy._core"):
    ADMITTED[f"{_core}.multiarray", "_reconstruct"] = _Made("numpy's _reconstruct", _reconstruct)
    ADMITTED[f"{_core}.multiarray", "scalar"] = _Made("numpy's scalar", _scalar)
    ADMITTED[f"{_core}.numeric", "_frombuffer"] = _Made("numpy's _frombuffer", _frombuffer)
for _builtins in ("builtins", "__builtin__"):
    ADMITTED[_builtins, "set"] = _Made("set", lambda items=(): set(_listed(items)))
    ADMITTED[_builtins, "frozenset"] = _Made("frozenset", lambda items=(): frozenset(_listed(items)))
    ADMITTED[_builtins, "complex"] = _Made("complex", complex)
    ADMITTED[_builtins, "bytes"] = _Made("bytes", lambda: b"")


def _listed(items: Any) -> Any:
    if not isinstance(items, list | tuple):
        raise ValueError(f"it asks for a set of {_shown(items)}")
    return items


def settle(value: Any, known: dict[int, Any]) -> Any:
    """Return the value with arrays in place of their stand-ins.

    Args:
        value: as a pickle builds it.
        known: by id, the values of this pickle that were settled before; is added to.

    Raises:
        ValueError: it holds something that is no value, or an array whose bytes do not fit its shape.
    """
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | bytearray | np.generic):
        return value
    if id(value) not in known:
        known[id(value)] = _settle_new(value, known)
    return known[id(value)]


def _settle_new(value: Any, known: dict[int, Any]) -> Any:
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(settle(item, known) for item in value)
    if isinstance(value, dict):
        return {settle(key, known): settle(item, known) for key, item in value.items()}
    if isinstance(value, Array):
        return _settle_array(value, known)
    raise ValueError(f"it holds {_shown(value)}, which is no value")


def _settle_array(array: Array, known: dict[int, Any]) -> NDArray[Any]:
    if array.dtype is None:
        raise ValueError("it holds an array that was never filled")
    if not isinstance(array.shape, tuple) or any(type(size) is not int or size < 0 for size in array.shape):
        raise ValueError("it gives an array a shape of other things than whole numbers")
    dtype = array.dtype.numpy()
    if not dtype.hasobject:
        return _from_bytes(array, dtype)
    if not isinstance(array.items, list) or len(array.items) != math.prod(array.shape):
        raise ValueError(f"it gives no list of {math.prod(array.shape)} for an array of shape {array.shape}")
    objects = np.empty(len(array.items), dtype=object)
    for index, item in enumerate(array.items):
        objects[index] = settle(item, known)
    return objects.reshape(array.shape, order=array.order)


def _from_bytes(array: Array, dtype: np.dtype[Any]) -> NDArray[Any]:
    items = array.items.encode("latin1") if isinstance(array.items, str) else array.items  # str: of Python 2
    count = math.prod(array.shape)
    if not isinstance(items, bytes | bytearray) or not dtype.itemsize or len(items) != count * dtype.itemsize:
        raise ValueError(f"it gives other than {count} × {dtype.itemsize} bytes for an array of shape {array.shape}")
    return np.ndarray(array.shape, dtype, buffer=bytearray(items), order=array.order)


def _shown(value: Any) -> str:
    """Return a short text for a message, or the name of the type: the text of a container may have no end."""
    return f"{value!r:.60}" if isinstance(value, str) else type(value).__name__

"""The types that a checkpoint may hold besides tensors: values that training scripts keep, none of which runs code.

torch's own reader (`weights_only=True`) calls nothing but what it is told to admit. Arrays and scalars of numpy come
out as stand-ins of `retrieval.datasets.safe_readers.restricted_pickle`, which check their bytes; nothing of numpy is
called by a pickle.
"""

import argparse
import collections
import datetime
import pathlib
import types
from typing import Any

from retrieval.datasets.safe_readers.restricted_pickle import ADMITTED, Array, Dtype


def _plain_dict(*factory: Any) -> dict[Any, Any]:
    """Return what a defaultdict starts as: torch's reader fills plain dicts alone."""
    return {}


_VALUES = (
    argparse.Namespace,
    types.SimpleNamespace,
    collections.Counter,
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.timezone,
)
# As a defaultdict names them, for what it makes of a missing key.
_BUILTINS = (list, dict, tuple, int, float, str, bool)
# A path is text here, whatever system it was written on.
_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path", "PurePath")
_OF_ARRAYS = ("numpy", "_codecs")

SAFE_GLOBALS: list[Any] = [
    *_VALUES,
    (_plain_dict, "collections.defaultdict"),
    *((builtin, f"{module}.{builtin.__name__}") for builtin in _BUILTINS for module in ("builtins", "__builtin__")),
    *((pathlib.PurePosixPath, f"{module}.{name}") for name in _PATHS for module in ("pathlib", "pathlib._local")),
    *((made, f"{module}.{name}") for (module, name), made in ADMITTED.items() if module.startswith(_OF_ARRAYS)),
    # The types of what those make, whose state a pickle sets.
    Array,
    Dtype,
]
"""For `torch.serialization.safe_globals`."""

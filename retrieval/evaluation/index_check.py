"""Whether faiss makes an index of a database that has yet to be described, by a rehearsal on random vectors.

Which clusters, codes and graphs need how many vectors, of which size, only faiss knows, and some of its kinds end the
process. So the rehearsal runs in a process of its own:
`python -m retrieval.evaluation.index_check FACTORY COUNT SIZE…`.

Letters: N vectors, D descriptor size.
"""

import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

from retrieval.evaluation.index import EXACT, build_index, index_bytes, search, training_stride
from retrieval.text import name_few

_ROOT = Path(__file__).resolve().parents[2]
_REFUSED = 3  # exit status of the rehearsal; Python itself ends with 1 or 2
# Some kinds (LSQ) train for minutes: those that are still at it then have refused neither size nor count.
_LONGEST_S = 60.0
# Few vectors first: most kinds that suit them suit more, and more take longer.
_FEW = (1 << 10, 1 << 14)
_DEPTH = 1000  # as an evaluation asks for


@lru_cache
def check_factory(factory: str, count: int, *sizes: int) -> None:
    """Check that faiss makes and searches an index of this description.

    Args:
        factory: as `retrieval.evaluation.index.build_index` takes it.
        count: N, of the database.
        sizes: each D that its descriptors may have.

    Raises:
        ValueError: it does not; with faiss's reason.
    """
    if factory == EXACT:
        return
    command = [sys.executable, "-m", __name__, factory, str(count), *map(str, sizes)]
    try:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    except subprocess.TimeoutExpired:
        return
    if done.returncode == _REFUSED:
        raise ValueError(done.stdout.strip())
    if done.returncode:
        raise ValueError(
            f"faiss makes no index {factory!r} of {count} vectors of size {name_few([*map(str, sizes)])}: "
            "it ends its process; a factory string such as 'IVF64,Flat', 'PQ16' or 'SQ8' that suits them is right"
        )


def rehearse(factory: str, size: int, count: int) -> None:
    """Make and search an index of random vectors, as many as the real one would be fitted to where fewer do not do.

    Args:
        factory: as `retrieval.evaluation.index.build_index` takes it.
        size: D.
        count: N, of the database.

    Raises:
        ValueError: faiss does not make it of so many vectors of this size.
        RuntimeError: faiss makes it, and cannot search or write it.
    """
    fitted = -(-count // training_stride(count))
    for fewer in (few for few in _FEW if few < fitted):
        with suppress(ValueError):
            _try(factory, size, fewer)
            return
    _try(factory, size, fitted)


def _try(factory: str, size: int, count: int) -> None:
    vectors_ND = np.random.default_rng(0).standard_normal((count, size), dtype=np.float32)
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    index = build_index(vectors_ND, factory)
    search(index, vectors_ND[:1], _DEPTH)
    index_bytes(index)


def _main(factory: str, count: str, *sizes: str) -> int:
    try:
        for size in sizes:
            rehearse(factory, int(size), int(count))
    except (ValueError, RuntimeError) as error:
        print(" ".join(str(error).split()))  # read by `check_factory`
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))

"""Waiting for a Ray task that describes many images, with a line about its progress every minute."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray

from retrieval.descriptors.store import PART_SIZE

_LOOK_SECONDS, _SAY_SECONDS = 2.0, 60.0


def wait_with_progress(task: Any, keep: Path, images: int, notice: Callable[[str], None]) -> Any:
    """Return the result of a task that writes descriptors of images in parts while it makes them.

    The task may run on another node: its progress is read off the parts, which lie on shared storage.

    Args:
        task: a reference of Ray's.
        keep: the folder below which the parts are written.
        images: how many images are described in all.
        notice: called with a line at most once a minute.
    """
    start = said = time.monotonic()
    before = _parts(keep)
    while not ray.wait([task], timeout=_LOOK_SECONDS)[0]:
        now = time.monotonic()
        done = PART_SIZE * (_parts(keep) - before)
        if done and now - said >= _SAY_SECONDS:
            said = now
            left = (now - start) * max(0, images - done) / done
            notice(f"described {done:,} of {images:,} images, at most {left / 60:.0f} min left")
    return ray.get(task)


def _parts(keep: Path) -> int:
    return sum(1 for _ in keep.rglob("part-*.arrow"))

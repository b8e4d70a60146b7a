"""Waiting for a task of a real Ray; the clock is the test's, for the lines come a minute apart."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from retrieval.descriptors.store import PART_SIZE
from search.driver import waiting
from search.driver.waiting import wait_with_progress

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


@pytest.fixture(autouse=True)
def two_minutes_later(monkeypatch) -> None:
    """A clock that is at 0 when the waiting begins, and at two minutes whenever it is looked at again."""
    times = iter([0.0])
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: next(times, 120.0)))
    monkeypatch.setattr(waiting, "_LOOK_SECONDS", 0.02)


def describing(keep: Path, parts: int, until: Path) -> Any:
    """A task that writes so many parts, goes on for a moment once the file `until` is there, and returns."""

    @ray.remote
    def describe() -> str:
        import time

        for part in range(parts):
            (keep / "set").mkdir(parents=True, exist_ok=True)
            (keep / "set" / f"part-{part + 10}.arrow").touch()
        while not until.exists():
            time.sleep(0.02)
        time.sleep(0.5)
        return "described"

    return describe.remote()


def test_what_is_done_and_how_long_it_may_take_is_said_once_a_minute(tmp_path):
    keep, said = tmp_path / "keep", tmp_path / "said"
    keep.mkdir()
    (keep / "part-0.arrow").touch()  # of an extraction that was interrupted: nothing of it is done again
    (keep / "set.json").touch()
    lines: list[str] = []

    def notice(line: str) -> None:
        lines.append(line)
        said.touch()

    assert wait_with_progress(describing(keep, 1, said), keep, 3 * PART_SIZE, notice) == "described"
    # A third took two minutes, so the rest takes four; looked at again, no other minute had passed.
    assert lines == [f"described {PART_SIZE:,} of {3 * PART_SIZE:,} images, at most 4 min left"]


def test_more_parts_than_images_leave_no_time_to_wait(tmp_path):
    """The last part of each set is not full."""
    lines: list[str] = []

    def notice(line: str) -> None:
        lines.append(line)
        (tmp_path / "said").touch()

    wait_with_progress(describing(tmp_path, 2, tmp_path / "said"), tmp_path, PART_SIZE + 1, notice)
    assert len(lines) == 1
    assert lines[0].endswith("at most 0 min left")


def test_before_the_first_part_nothing_is_promised(tmp_path):
    (tmp_path / "go").touch()
    assert wait_with_progress(describing(tmp_path, 0, tmp_path / "go"), tmp_path, 10, pytest.fail) == "described"


def test_an_error_of_the_task_is_raised():
    @ray.remote
    def failing() -> None:
        raise ValueError("no such image")

    with pytest.raises(ValueError, match="no such image"):
        wait_with_progress(failing.remote(), Path("nowhere"), 10, pytest.fail)

"""The number of threads of this process: the only module that sets it."""

import os
from pathlib import Path

import faiss
import torch


def use_threads(count: int) -> None:
    """Let torch and faiss use `count` threads.

    Trials run side by side, and each must use no more cores than it was given. Two trainings with default threads on
    two cores are many times slower than with one thread each.
    """
    torch.set_num_threads(count)
    faiss.omp_set_num_threads(count)
    os.environ["OMP_NUM_THREADS"] = str(count)  # for processes that this one starts


def available_threads() -> int:
    """Return how many cores this process may use: those it may run on, or fewer by its container's quota."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))

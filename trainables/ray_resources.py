"""What Ray gave to the running task or actor."""

import ray
import torch

from trainables.threads import use_threads


def use_ray_resources() -> torch.device:
    """Use the cores that were given, and no more; returns the device: CUDA when a GPU, or a share of one, was given."""
    cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1.0)
    use_threads(max(1, int(cpus)))
    return torch.device("cuda" if ray.get_gpu_ids() else "cpu")

"""The cores, the device and the node of the running task or actor, as Ray assigned them."""

import ray
import torch

from trainables.threads import use_threads


def use_ray_resources() -> torch.device:
    """Use the cores that Ray gave to this task or actor, and no more.

    Returns:
        The device: CUDA where a GPU, or a share of one, was given.
    """
    cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1.0)
    use_threads(max(1, int(cpus)))
    return torch.device("cuda" if ray.get_gpu_ids() else "cpu")


def describe_worker(device: torch.device) -> dict[str, str]:
    """Return device, threads and node of this worker, for the provenance of what it computes."""
    return {
        "device": str(device),
        "threads": str(torch.get_num_threads()),
        "node": ray.util.get_node_ip_address(),
    }

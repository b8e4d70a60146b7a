"""Connecting to Ray, and what it has to give."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from search.config import ResourceSettings
from trainables.threads import available_threads


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Ray for the time of a sweep: the cluster at `address`, or that of the running job, or a local one started here.

    `search.environment.prepare_ray` must have been called before Ray was imported.

    Raises:
        ConnectionError: nothing answers at the address.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    if address:
        ray.init(address=address, **quiet)
    else:
        # "local": without it Ray would join whatever cluster it finds traces of on this machine.
        ray.init(address="local", num_cpus=available_threads(), include_dashboard=False, **quiet)
    try:
        yield
    finally:
        ray.shutdown()


def places_for(resources: ResourceSettings) -> int:
    """How many trials fit on the cluster at once.

    Raises:
        ValueError: not one: says what a trial asks for and what the nodes have. Ray itself would wait for ever.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    asked = {"CPU": float(resources.cpus), "GPU": resources.gpus}
    places = sum(int(min(node.get(kind, 0.0) / amount for kind, amount in asked.items() if amount)) for node in nodes)
    if places == 0:
        have = "; ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise ValueError(
            f"a trial asks for {resources.cpus} CPUs and {resources.gpus:g} GPUs, and no node has that "
            f"(nodes: {have}): lower [resources] or add a node"
        )
    return places


def largest_node_cpus() -> int:
    """The cores of the node that has most."""
    return int(max(node["Resources"].get("CPU", 1.0) for node in ray.nodes() if node["Alive"]))

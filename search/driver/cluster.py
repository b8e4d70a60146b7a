"""The connection to Ray, and the resources of its nodes."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from search.config import ResourceSettings
from search.errors import GO_ON, FailedError
from trainables.threads import available_threads


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to Ray while the context lasts.

    `search.driver.environment.prepare_ray` must have been called before Ray was imported.

    Args:
        address: of a cluster; None for that of the running job, or else a local one that is started here.

    Raises:
        ValueError: a driver cannot join an address of that form, or nothing answers there.
        FailedError: a local Ray did not start.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    # Tune logs a lost trial with a page of its own stack; the record keeps the cause, and the progress line shows it.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    if address:
        _check_address(address)
        ray.init(address=address, **quiet)
    else:
        _start_local(quiet)
    try:
        yield
    finally:
        ray.shutdown()


def _start_local(quiet: dict[str, Any]) -> None:
    """Start Ray on this machine, and once more when it gives up: its waiting times are too short for a busy machine.

    Raises:
        FailedError: Ray did not start twice in a row.
    """
    for is_last in (False, True):
        try:
            # "local": otherwise Ray would join any cluster whose address file it finds on this machine.
            ray.init(address="local", num_cpus=available_threads(), include_dashboard=False, **quiet)
        except Exception as error:  # a plain Exception is what Ray raises when its processes are not up in time
            ray.shutdown()
            if is_last:
                reason = " ".join(str(error).split())
                raise FailedError(f"Ray did not start on this machine, tried twice: {reason} ({GO_ON})") from error
        else:
            return


def _check_address(address: str) -> None:
    # Ray itself would go on trying for minutes, or for ever.
    if "://" in address:
        raise ValueError(f"address {address!r} is a URL: a head's host:port is right, or `ray job submit` from outside")
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return  # "auto" and the like are Ray's to resolve
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise ValueError(f"no Ray answers at {address}: {error}") from error


def trial_slots_for(resources: ResourceSettings) -> int:
    """Return how many trials fit on the cluster at once.

    Args:
        resources: of one trial.

    Raises:
        ValueError: none does; says what a trial asks for and what the nodes have. Ray itself would wait for ever.
    """
    nodes = node_resources()
    asked = {"CPU": float(resources.cpus), "GPU": resources.gpus}
    slots = sum(int(min(node.get(kind, 0.0) / amount for kind, amount in asked.items() if amount)) for node in nodes)
    if slots == 0:
        have = "; ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise ValueError(
            f"a trial asks for {resources.cpus} CPUs and {resources.gpus:g} GPUs, and no node has that "
            f"(nodes: {have}): lower [resources] or add a node"
        )
    return slots


def whole_node(resources: ResourceSettings) -> dict[str, float]:
    """Return Ray task options for all CPUs of the largest node that has the GPUs of a trial."""
    nodes = node_resources()
    cpus = max(node.get("CPU", 1.0) for node in nodes if node.get("GPU", 0.0) >= resources.gpus)
    return {"num_cpus": cpus, "num_gpus": resources.gpus}


def node_resources() -> list[dict[str, float]]:
    """Return the resources of each node that is alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]

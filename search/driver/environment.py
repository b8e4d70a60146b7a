"""Environment variables that Ray reads while it is imported: a driver sets them before."""

import os
import secrets

_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Tune's own state is never read (docs/architecture.md)
    # As many as the searcher gives: otherwise a waiting trial takes a freed worker and cancels the one started for it.
    "TUNE_MAX_PENDING_TRIALS_PG": "1000",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anybody
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # workers are started plainly, also below `uv run`
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def prepare_ray(address: str | None) -> None:
    """Set the environment variables of a driver; those that are set already stay.

    A local Ray gets a token of its own: its ports are open to the machine's network, and without the token nobody can
    connect. For a cluster the operator gives the token (RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH).

    Args:
        address: of a cluster; None for that of the running job, or else a local Ray.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if not (address or os.environ.get("RAY_ADDRESS")):
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        if "RAY_AUTH_TOKEN_PATH" not in os.environ:
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))

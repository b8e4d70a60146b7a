"""A quiet MLflow client, and the address of its store."""

import logging
import os
import re
import shlex
import tempfile
import warnings
from pathlib import Path
from urllib.parse import quote, unquote

from tracking.files import write_atomically
from tracking.mlflow_runs.runs_client import RunsClient

_SETTINGS = {
    # Nothing leaves the machine that the user did not ask for.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # "View run … at …" on stdout would tear the sweep's display.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # The store tries again by itself; MLflow's own seven attempts would hold its thread for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
_SQLITE = "sqlite:///"
# The same store, but MLflow takes no part of the address for a folder that it has to make (it does not decode it).
_SQLITE_QUOTED = "sqlite+pysqlite:///"
STORE_NAME, ARTIFACTS_NAME = "mlflow.db", "mlartifacts"


def quiet_client(tracking_uri: str) -> RunsClient:
    """Return a client of `tracking_uri` that prints nothing; environment variables that are set already win."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    # A late import, for start-up: MLflow takes seconds, and reads the variables when it is imported.
    import mlflow

    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # MLflow's own use of SQLAlchemy, at every query.
    warnings.filterwarnings("ignore", message="The ``noload`` loader strategy is deprecated")
    return mlflow.MlflowClient(tracking_uri=tracking_uri)


def make_sqlite_store(tracking_uri: str) -> None:
    """Create the SQLite file of an address whole, or not at all; leave an existing file, and any other address, alone.

    MLflow creates table after table for seconds. It could never use a file again in which it was killed, or for which
    the disk was too small.
    """
    path = _sqlite_file(tracking_uri)
    if path is None or path.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / STORE_NAME
        quiet_client(_address(made)).search_experiments(max_results=1)
        write_atomically(path, made.read_bytes())


def default_tracking_uri(folder: Path) -> str:
    """Return the address of a SQLite store in `folder`, used where no server is given."""
    return _address(folder.resolve() / STORE_NAME)


def artifact_location(tracking_uri: str) -> str | None:
    """Return where artifacts go: a folder beside a SQLite file; None (the server decides) otherwise."""
    path = _sqlite_file(tracking_uri)
    return None if path is None else (path.resolve().parent / ARTIFACTS_NAME).as_uri()


def ui_command(tracking_uri: str) -> str:
    """Return the command that shows the store in a browser; for a server, the address to open."""
    if tracking_uri.startswith(("http://", "https://")):
        return tracking_uri
    return f"mlflow ui --backend-store-uri {shlex.quote(tracking_uri)} --host 127.0.0.1"


def _address(path: Path) -> str:
    """Return the address of a SQLite file; what an address would take for something else is quoted."""
    return f"{_SQLITE_QUOTED}{quote(str(path))}" if re.search("[?#%]", str(path)) else f"{_SQLITE}{path}"


def _sqlite_file(tracking_uri: str) -> Path | None:
    """Return the file that an address of SQLite names; None for any other address."""
    for scheme in (_SQLITE, _SQLITE_QUOTED):
        if tracking_uri.startswith(scheme):
            return Path(unquote(tracking_uri.removeprefix(scheme).partition("?")[0]))
    return None

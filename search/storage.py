"""The folder that holds a sweep: what lies where, whose it is, and one driver at a time."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.config import SweepConfig
from tracking.files import write_atomically


class SweepStorage:
    """A sweep's folder.

    sweep.json          the configuration that the sweep was started with, and its identity
    journal.log         Optuna's journal: what was proposed and what came of it
    trials/<number>/    record, weights, and a checkpoint while it runs
    front.html .json .parquet .png
    mlflow.db           unless --tracking-uri names another store
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()

    def check(self, config: SweepConfig) -> None:
        """Do nothing when the folder is new, empty or this sweep's.

        Raises:
            ValueError: it belongs to another sweep, or holds something else.
        """
        if (self.path / "sweep.json").is_file():
            self._check_owner(config)
        elif self.path.is_dir() and any(entry for entry in self.path.iterdir() if entry.name != ".lock"):
            raise ValueError(f"storage {self.path} is not empty and holds no sweep: name a new folder")
        elif self.path.exists() and not self.path.is_dir():
            raise ValueError(f"storage {self.path} is a file: name a folder")

    def claim(self, config: SweepConfig) -> None:
        """Make the folder this sweep's; see `check` for what it raises."""
        self.check(config)
        content = {"identity": config.identity, "config": config.model_dump(mode="json")}
        write_atomically(self.path / "sweep.json", json.dumps(content, indent=2))

    def config(self) -> SweepConfig:
        """The configuration of the sweep that lies here.

        Raises:
            ValueError: there is none.
        """
        card = self.path / "sweep.json"
        if not card.is_file():
            raise ValueError(f"{self.path} holds no sweep (no sweep.json): name the --storage folder of one")
        return SweepConfig.model_validate(json.loads(card.read_text())["config"])

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the sweep for this process; the kernel lets go of it when the process dies, however it dies.

        Raises:
            ValueError: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise ValueError(f"the sweep in {self.path} is run by process {file.read().strip()} already") from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def _check_owner(self, config: SweepConfig) -> None:
        stored = self.config()
        if stored.identity == config.identity:
            return
        mine, theirs = config.model_dump(mode="json"), stored.model_dump(mode="json")
        sections = [key for key in mine if mine[key] != theirs[key] and key != "resources"]
        raise ValueError(
            f"storage {self.path} holds another sweep ({stored.name!r}, differs in: {', '.join(sections)}): "
            "name another --storage, or give it the sweep file that it was started with"
        )

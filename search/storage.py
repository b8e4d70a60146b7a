"""The folder of a sweep: its layout, the sweep that it belongs to, and a lock for one driver at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from retrieval.text import need_text
from search.config import SweepConfig
from tracking.format_version import JsonFormat, UnknownFormatError


class SweepCard(BaseModel, frozen=True, extra="forbid"):
    """sweep.json: the sweep that a folder belongs to.

    Attributes:
        identity: of the configuration, see `SweepConfig.identity`.
        data: the fingerprint of the data.
        baselines: where the dense network is kept.
        config: the whole configuration.
        warnings: doubts about the data, see `search.data_check`.
    """

    identity: str
    data: str
    baselines: Path
    config: SweepConfig
    warnings: tuple[str, ...] = ()


SWEEP_JSON = JsonFormat("a sweep's card", SweepCard)


class SweepStorage:
    """The folder of a sweep.

    sweep.json          the configuration, its identity, the data's fingerprint, where the dense network is kept
    journal.log         Optuna's journal: what was proposed and what came of it
    trials/<number>/    record, weights, and a checkpoint while it runs
    front.html .json .parquet .png
    mlflow.db           unless --tracking-uri names another store

    Args:
        path: of the folder, which need not exist yet.

    Raises:
        ValueError: the path is a URI, or no valid UTF-8.
    """

    def __init__(self, path: Path) -> None:
        if ":/" in str(path):  # what pathlib makes of "s3://bucket/x"
            raise ValueError(f"storage {path} is a URI: a folder on a file system that every node sees is right")
        self.path = path.expanduser().resolve()
        need_text(self.path, "storage")

    def with_sampler(self, config: SweepConfig) -> SweepConfig:
        """Return the configuration with a sampler, where its file names none: that of the sweep here, or the default.

        Raises:
            UnknownFormatError: sweep.json has a format version that is not known.
            ValueError: sweep.json is damaged.
        """
        if config.search.sampler is not None:
            return config
        begun = (self.path / "sweep.json").is_file()
        sampler = self.card().config.search.sampler if begun else config.search.chosen_sampler
        return config.model_copy(update={"search": config.search.model_copy(update={"sampler": sampler})})

    def check(self, config: SweepConfig, data: str) -> None:
        """Do nothing if the folder is new, empty, or belongs to this sweep over this data.

        Args:
            config: of the sweep.
            data: the fingerprint of its data.

        Raises:
            ValueError: it belongs to another sweep or to other data, or holds something else.
        """
        if (self.path / "sweep.json").is_file():
            self._check_owner(config, data)
        elif self.path.is_dir() and not all(_is_ours(entry) for entry in self.path.iterdir()):
            raise ValueError(f"storage {self.path} is not empty and holds no sweep: name a new folder")
        elif self.path.exists() and not self.path.is_dir():
            raise ValueError(f"storage {self.path} is a file: name a folder")

    def claim(self, config: SweepConfig, data: str, baselines: Path, warnings: tuple[str, ...] = ()) -> None:
        """Write sweep.json, and remove temporary files that a killed driver has left.

        Args:
            config: of the sweep.
            data: the fingerprint of its data.
            baselines: where its dense network is kept.
            warnings: doubts about the data.

        Raises:
            ValueError: as `check` does.
        """
        self.check(config, data)
        card = SweepCard(identity=config.identity, data=data, baselines=baselines, config=config, warnings=warnings)
        SWEEP_JSON.write(self.path / "sweep.json", card)
        for unfinished in [*self.path.glob(".*.json.*"), *self.path.glob("trials/*/.*")]:
            unfinished.unlink(missing_ok=True)

    def card(self) -> SweepCard:
        """Return the content of sweep.json.

        Raises:
            UnknownFormatError: it has a format version that is not known.
            ValueError: there is none, or it is damaged.
        """
        path = self.path / "sweep.json"
        if not path.is_file():
            raise ValueError(f"{self.path} holds no sweep (no sweep.json): name the --storage folder of one")
        try:
            return SWEEP_JSON.read(path)
        except UnknownFormatError:
            raise
        except ValueError as error:
            raise ValueError(f"{path.name} is damaged: {error}") from error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the sweep for this process; the kernel releases the lock when the process dies, however it dies.

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

    def _check_owner(self, config: SweepConfig, data: str) -> None:
        stored = self.card()
        if stored.identity != config.identity:
            mine, theirs = config.deciding, stored.config.deciding
            sections = [key for key in mine if mine[key] != theirs[key]] or ["what its presets and defaults were then"]
            raise ValueError(
                f"storage {self.path} holds another sweep ({stored.config.name!r}, differs in: "
                f"{', '.join(sections)}): name another --storage, or give it the sweep file that it was started with"
            )
        if stored.data != data:
            raise ValueError(
                f"the images or the ground truth in {config.data.root} have changed since the sweep in {self.path} "
                "was started: name another --storage, or bring the old data back"
            )


def _is_ours(entry: Path) -> bool:
    """Return whether a killed first start leaves such a file, so that the folder still counts as empty."""
    return entry.name == ".lock" or entry.name.startswith(".sweep.json.")

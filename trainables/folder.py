"""The files of one trial, under `trials/<number>/` of a sweep's storage."""

import io
import logging
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError
from torch import Tensor, nn

from pruning.coding.packing import unpack
from tracking.files import write_atomically
from tracking.format_version import VERSION_KEY, check_version
from tracking.record import EpochPoint, TrialRecord, read_record, write_record
from trainables.watchdog import hangs

PLAIN, PACKED = "weights.safetensors", "weights.packed"
_CHECKPOINT_VERSION = 1

_CURVE_JSON = TypeAdapter(tuple[EpochPoint, ...])

_log = logging.getLogger(__name__)


class LeaseLostError(RuntimeError):
    """Another worker has taken this trial over, so this one must not write any more."""


class TrialFolder:
    """Checkpoint, record and weights of one trial, each replaced whole or not at all.

    A worker takes the folder with `acquire` before it writes. When a driver dies, its workers run on for a moment;
    the lease of the next driver's worker then makes the old one's writes fail, so no epoch is counted twice.

    Args:
        storage: the sweep's folder.
        number: of the trial.
    """

    def __init__(self, storage: Path, number: int) -> None:
        self.path = storage / "trials" / str(number)
        self._lease: str | None = None

    @property
    def trace(self) -> Path:
        """The file into which `trainables.watchdog` writes where a step hung."""
        return self.path / "hung"

    def acquire(self, lease: str) -> None:
        """Take the folder over for the holder of `lease`, a string that no other worker has."""
        write_atomically(self.path / "lease", lease)
        self._lease = lease

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the last saved state, on the CPU; None when there is none, or it is damaged: the trial starts over.

        Raises:
            UnknownFormatError: its format version is not known.
        """
        path = self.path / "checkpoint.pt"
        if not path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, UnpicklingError) as error:
            _log.warning("%s cannot be read, the trial starts over: %s", path, str(error).splitlines()[0])
            return None
        check_version(state.pop(VERSION_KEY, 1), path, "a checkpoint", _CHECKPOINT_VERSION)
        return state

    def save_checkpoint(self, state: dict[str, Any], curve: Sequence[EpochPoint]) -> None:
        """Replace the saved state and its curve."""
        self._check_lease()
        buffer = io.BytesIO()
        torch.save({VERSION_KEY: _CHECKPOINT_VERSION, **state}, buffer)
        write_atomically(self.path / "checkpoint.pt", buffer.getvalue())
        # After the state: the curve must not contain an epoch that would be trained again.
        write_atomically(self.path / "curve.json", _CURVE_JSON.dump_json(tuple(curve)))

    def curve(self) -> tuple[EpochPoint, ...]:
        """Return the epochs up to the last checkpoint; those of an ended trial are in its record instead."""
        path = self.path / "curve.json"
        return _CURVE_JSON.validate_json(path.read_bytes()) if path.is_file() else ()

    def finish(self, record: TrialRecord, network: nn.Module | None = None, packed: bytes | None = None) -> None:
        """Write the weights, then the record, with which the trial has ended; delete the checkpoint and the curve.

        Args:
            record: of the trial.
            network: whose state dict is written; None where the trial delivers none.
            packed: the packed file of quantized weights, written instead: it unpacks to the network's state dict.
        """
        self._check_lease()
        if packed is not None:
            write_atomically(self.path / PACKED, packed)
        elif network is not None:
            write_atomically(self.path / PLAIN, safetensors.torch.save(network.state_dict()))
        write_record(self.path / "record.json", record)
        for unfinished in ("checkpoint.pt", "curve.json"):
            (self.path / unfinished).unlink(missing_ok=True)

    def note_error(self, message: str) -> None:
        """Write the error of an attempt to a file, in place of that of an earlier attempt."""
        write_atomically(self.path / "last_error", message)
        self.trace.unlink(missing_ok=True)

    def note_trace(self, text: str) -> None:
        """Write the trace of the last error, its own or the machine's, to `error_trace`."""
        write_atomically(self.error_trace, text)

    @property
    def error_trace(self) -> Path:
        """The file of `note_trace`."""
        return self.path / "error.txt"

    def last_error(self) -> str | None:
        """Return the error of the last attempt, or None."""
        if hung := hangs(self.trace):
            return f"{hung[-1]} (the whole trace is in {self.trace})"
        path = self.path / "last_error"
        return path.read_text() if path.is_file() else None

    def record(self) -> TrialRecord | None:
        """Return the record; None while the trial has not ended."""
        path = self.path / "record.json"
        return read_record(path) if path.is_file() else None

    def packed(self) -> bytes | None:
        """Return the packed file of the finished network's quantized weights; None when they are plain."""
        path = self.path / PACKED
        return path.read_bytes() if path.is_file() else None

    def weights(self) -> dict[str, Tensor]:
        """Return the finished network's state dict.

        Raises:
            ValueError: the file is damaged; names it.
        """
        packed = self.packed()
        try:
            return unpack(packed) if packed is not None else safetensors.torch.load_file(self.path / PLAIN)
        except (ValueError, SafetensorError) as error:
            path = self.path / (PLAIN if packed is None else PACKED)
            raise ValueError(f"{path} cannot be read: {error}") from error

    def _check_lease(self) -> None:
        holder = (self.path / "lease").read_text()
        if holder != self._lease:
            raise LeaseLostError(f"trial folder {self.path} is held by {holder}, not by {self._lease}")


def read_records(storage: Path) -> list[TrialRecord]:
    """Return the records of all trials that have ended, by number."""
    paths = (storage / "trials").glob("*/record.json")
    return sorted((read_record(path) for path in paths), key=lambda record: record.number)

"""The format version that files carry, so that a prunefront refuses a file whose format it does not know.

A file without a version was written before there were versions, and counts as version 1.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from tracking.files import write_atomically
from tracking.validation import first_error

VERSION_KEY = "format_version"
"""The key of the version in a JSON object, a checkpoint or the attributes of a study."""

ContentT = TypeVar("ContentT", bound=BaseModel)


class UnknownFormatError(ValueError):
    """A file has a format version that this prunefront does not know; the message names file and versions."""


def check_version(version: object, where: Path | str, name: str, newest: int = 1) -> None:
    """Refuse a format version that this prunefront does not know.

    Args:
        version: what the file says; 1 where it says nothing.
        where: the file.
        name: what the file is, as "a trial's record".
        newest: the newest version that can be read; so can all before it.

    Raises:
        UnknownFormatError: names the file, its version, and those that can be read.
    """
    if type(version) is int and 1 <= version <= newest:
        return
    readable = "1 only" if newest == 1 else f"1 to {newest}"
    raise UnknownFormatError(
        f"{where} is {name} of format version {version!r}; this prunefront reads version {readable}: "
        "use the prunefront that wrote it"
    )


@dataclass(frozen=True)
class JsonFormat(Generic[ContentT]):
    """One kind of JSON file: a model's fields, and before them the version of the format.

    Attributes:
        name: what such a file is, for messages: "a trial's record".
        content: the model that is written and read.
        version: written into new files; files of this and all earlier versions are read.
    """

    name: str
    content: type[ContentT]
    version: int = 1

    def dump(self, content: ContentT) -> str:
        """Return `content` as indented JSON with its format version."""
        fields = json.loads(content.model_dump_json())
        return json.dumps({VERSION_KEY: self.version, **fields}, indent=2, ensure_ascii=False)

    def write(self, path: Path, content: ContentT) -> None:
        """Write `dump` of the content to `path`, atomically; make missing folders."""
        write_atomically(path, self.dump(content))

    def read(self, path: Path) -> ContentT:
        """Read what `write` wrote, or a file from before there were versions.

        Raises:
            FileNotFoundError: there is no such file.
            UnknownFormatError: its format version is not known.
            ValueError: the file is damaged; names it and the first thing wrong in it.
        """
        data = path.read_bytes()
        try:
            fields = from_json(data)
        except ValueError as error:
            raise ValueError(f"{path} is not {self.name}: the whole file: {error}") from error
        if isinstance(fields, dict):
            check_version(fields.pop(VERSION_KEY, 1), path, self.name, self.version)
        try:
            return self.content.model_validate_json(json.dumps(fields))
        except ValidationError as error:
            raise ValueError(f"{path} is not {self.name}: {first_error(error, self.content)}") from error

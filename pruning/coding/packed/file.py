"""The frame of a packed file: header, index, and the sections of each tensor.

docs/packed-format.md describes the same for readers in other languages.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from pruning.coding.packed.index import Entry, index_from_json, index_to_json

MAGIC = b"\x89PFRONT\n"  # no text, and spoiled by any program that changes line ends
VERSION = 1
HEADER = struct.Struct("<8sIQ32s")  # magic, version, length and SHA-256 of all that follows
INDEX_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class PackedEntry:
    """What the index says of one tensor, and its bytes: one section of a raw tensor, three of a quantized weight."""

    entry: Entry
    sections: tuple[bytes | memoryview, ...]


def write_file(tensors: Sequence[PackedEntry]) -> bytes:
    """Return a file: header, index and all sections in order, nothing between them."""
    index = index_to_json([tensor.entry for tensor in tensors])
    sections = [section for tensor in tensors for section in tensor.sections]
    parts = [INDEX_LENGTH.pack(len(index)), index, *sections]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return b"".join([HEADER.pack(MAGIC, VERSION, sum(map(len, parts)), digest.digest()), *parts])


def read_file(data: bytes) -> list[PackedEntry]:
    """Take a file apart again. The sections are views, nothing is copied.

    Raises:
        ValueError: it is no packed file, of another version, cut short, longer than it says, or damaged.
    """
    body = _checked_body(data)
    index_end = INDEX_LENGTH.size + INDEX_LENGTH.unpack_from(body)[0]
    if index_end > len(body):
        raise ValueError(
            f"the packed file's index is {index_end - INDEX_LENGTH.size} bytes long, more than the file has"
        )
    entries = index_from_json(bytes(body[INDEX_LENGTH.size : index_end]))
    asked, there = sum(sum(entry.section_bytes) for entry in entries), len(body) - index_end
    if asked != there:
        raise ValueError(f"the packed file's index speaks of {asked} bytes of tensors, {there} follow it")
    return _slice(entries, body[index_end:])


def _checked_body(data: bytes) -> memoryview:
    """Return what follows the header, after checking it against the header's length and SHA-256."""
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise ValueError(f"no packed network: the file begins with {bytes(data[:8])!r}, it must with {MAGIC!r}")
    _, version, length, digest = HEADER.unpack_from(data)
    if version != VERSION:
        raise ValueError(f"the packed file is of version {version}; this reader knows version {VERSION}")
    body = memoryview(data)[HEADER.size :]
    if len(body) != length or length < INDEX_LENGTH.size:
        raise ValueError(f"the packed file has {len(body)} bytes after its header, which says {length}")
    if hashlib.sha256(body).digest() != digest:
        raise ValueError("the packed file is damaged: its SHA-256 is not the one that its header gives")
    return body


def _slice(entries: Sequence[Entry], data: memoryview) -> list[PackedEntry]:
    tensors, start = [], 0
    for entry in entries:
        sections = []
        for length in entry.section_bytes:
            sections.append(data[start : start + length])
            start += length
        tensors.append(PackedEntry(entry, tuple(sections)))
    return tensors

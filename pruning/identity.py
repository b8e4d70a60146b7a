"""Short identities: the first digits of a SHA-256, for names of folders and keys of journals.

How a value becomes text decides its identity: `json.dumps` with and without spaces differ. So a caller whose identities
lie in files already must go on making the text as it did.
"""

import hashlib
import json
from typing import Any

_DIGITS = 16


def sha256_prefix(content: str | bytes) -> str:
    """Return the first sixteen hexadecimal digits of the SHA-256 of a text (as UTF-8) or of bytes."""
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()[:_DIGITS]


def json_identity(parts: Any, *, separators: tuple[str, str] | None = None) -> str:
    """Return sixteen hexadecimal digits that are equal for equal values, on every machine.

    Args:
        parts: whatever `json.dumps` accepts; the order of keys does not matter.
        separators: between items and after keys, as `json.dumps` takes them; None for its own, with spaces.

    Raises:
        TypeError: JSON cannot hold a value.
    """
    return sha256_prefix(json.dumps(parts, sort_keys=True, separators=separators))

"""The option `--set KEY=VALUE`, which replaces keys of a sweep file."""

import tomllib
from collections.abc import Sequence
from typing import Any

_TOML_STARTS = ("[", "{", '"', "'")


def replace_keys_(sections: dict[str, Any], overrides: Sequence[str]) -> None:
    """Replace keys of a sweep file in place; whether they exist is checked with the rest of the file.

    Args:
        sections: the sweep file as TOML reads it.
        overrides: "key=value" each, a later one wins. The key has its sections before it, with dots between. The value
            is TOML; anything that is not, as a bare word or a path, is a string.

    Raises:
        ValueError: no "=", an empty part of a key, a section that is a value in the file, or a broken list, table
            or string.
    """
    for override in overrides:
        key, equals, value = override.partition("=")
        *path, last = parts = [part.strip() for part in key.split(".")]
        if not equals or not all(parts):
            raise ValueError(f"--set {override}: KEY=VALUE is right, as dense.epochs=3")
        section = sections
        for part in path:
            section = section.setdefault(part, {})
            if not isinstance(section, dict):
                raise ValueError(f"--set {override}: {part!r} is a value in the file, not a section")
        section[last] = _value(value.strip(), override)


def _value(text: str, override: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError as error:
        if text.startswith(_TOML_STARTS):
            raise ValueError(f"--set {override}: the value is not TOML: {error}") from error
        return text
    # A line break in the text would start another key.
    return parsed["value"] if len(parsed) == 1 else text

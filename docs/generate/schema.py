"""Types, bounds and defaults of settings, in words, from pydantic's JSON schema."""

from typing import Any

Schema = dict[str, Any]

_WORDS = {
    "object": "table",
    "integer": "whole number",
    "number": "number",
    "string": "string",
    "boolean": "true or false",
}
_BOUNDS = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))


def type_in_words(schema: Schema, definitions: Schema) -> str:
    """Return what values a key takes, with their bounds.

    Args:
        schema: of the key.
        definitions: `$defs` of the whole model.

    Returns:
        For instance "whole number ≥ 1", or "`pca` or `lw`".
    """
    schema = _without_none(schema)
    if "$ref" in schema:
        return "table"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_in_words(each, definitions) for each in schema["anyOf"]))
    if "const" in schema:
        return f'`"{schema["const"]}"`'
    if "enum" in schema:
        return " or ".join(f'`"{value}"`' for value in schema["enum"])
    if schema.get("type") == "array":
        return _array_in_words(schema, definitions)
    if schema.get("format") == "path":
        return "path"
    bounds = [f"{sign} {schema[name]:g}" for name, sign in _BOUNDS if name in schema]
    return " ".join([_WORDS[schema["type"]], ", ".join(bounds)]).strip()


def _array_in_words(schema: Schema, definitions: Schema) -> str:
    if "prefixItems" in schema:
        (of,) = {type_in_words(item, definitions) for item in schema["prefixItems"]}
        return f"pair of: {of}"
    return f"list of: {type_in_words(schema['items'], definitions)}"


def _without_none(schema: Schema) -> Schema:
    """Return the schema of the value where the key may also be left out."""
    (*kept,) = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if not kept:
        return schema
    return kept[0] if len(kept) == 1 else {**schema, "anyOf": kept}


def default_in_words(name: str, schema: Schema, required: bool) -> str:
    """Return a key's default as a sweep file would write it; "required" or "–" where it has none.

    Args:
        name: of the key.
        schema: of the key.
        required: whether the key must be given.
    """
    if required:
        return "**required**"
    default = schema.get("default")
    if default is None:
        return "–"
    return f"`{_toml(default)}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(each)}' for key, each in value.items() if each is not None)} }}"
    return f"{value:g}" if isinstance(value, float) and value < 1e-3 else str(value)

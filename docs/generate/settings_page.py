"""The page of sweep-file keys, from the settings classes themselves."""

import re
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Any, get_args

from pydantic import BaseModel

from docs.generate.docstrings import described_keys
from docs.generate.markdown import table
from docs.generate.schema import default_in_words, type_in_words
from pruning.methods.registry import METHODS
from retrieval.datasets.registry import FORMATS
from retrieval.networks.network import BACKBONES, POOLINGS
from search.config import SpaceSettings, SweepConfig
from search.study.samplers import SAMPLER_NAMES
from spaces.preset import PRESET_MODEL

_INTRODUCTION = """# Sweep-file keys

A sweep is one TOML file. Unknown keys are errors, and the error names the nearest known key. Any key can be replaced on
the command line: `--set dense.epochs=3`. Files to start from lie in `search/sweeps/`. This page is generated from the
settings classes.
"""
_PRESETS = """
### Presets

`preset` names one of these files in `spaces/presets/`; every other key of `[space]` replaces that entry of the preset.
"""

# Keys whose values are names in a table of the code.
_NAMES: dict[str, Iterable[str]] = {
    "network.name": BACKBONES,
    "network.pooling": POOLINGS,
    "search.sampler": SAMPLER_NAMES,
    "space.methods": METHODS,
    "format": FORMATS,
}


def settings_page() -> str:
    """Return the page as Markdown."""
    fields = SweepConfig.model_fields
    plain = [name for name in fields if not _models_in(fields[name].annotation)]
    parts = [_INTRODUCTION, "## Outside any section\n", _key_table(SweepConfig, "", plain)]
    for name in fields:
        if name not in plain:
            parts += _section(name)
    return "\n".join(parts)


def keys_without_text() -> list[str]:
    """Return the keys, dotted, that neither a description nor a docstring explains."""
    missing = []
    for path, model in _all_models():
        keys = described_keys(model).keys
        missing += [f"{path}.{name}".lstrip(".") for name in _own_keys(path, model) if name not in keys]
    return missing


def _all_models() -> Iterator[tuple[str, type[BaseModel]]]:
    yield "", SweepConfig
    for name, field in SweepConfig.model_fields.items():
        for model in _models_in(field.annotation):
            yield from _with_nested(name, PRESET_MODEL if model is SpaceSettings else model)


def _with_nested(path: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    seen = {model}
    for name, field in model.model_fields.items():
        for nested in _models_in(field.annotation):
            if nested not in seen:
                seen.add(nested)
                yield from _with_nested(f"{path}.{name}", nested)


def _own_keys(path: str, model: type[BaseModel]) -> list[str]:
    """Return the keys that need a text: a section of the file is explained by its own class."""
    return [name for name, field in model.model_fields.items() if path or not _models_in(field.annotation)]


def _section(name: str) -> list[str]:
    (model,) = _models_in(SweepConfig.model_fields[name].annotation)
    may_be_missing = not SweepConfig.model_fields[name].is_required()
    parts = [f"## `[{name}]`\n"]
    if model is SpaceSettings:
        parts += [_prose(model), _key_table(model, name, ["preset"]), _PRESETS, *_presets()]
        model = PRESET_MODEL
        parts.append("### Keys of a preset\n")
    parts += [_prose(model)]
    if may_be_missing:
        parts += ["The section may be left out.\n"]
    parts.append(_key_table(model, name, list(model.model_fields)))
    for path, nested in [*_with_nested(name, model)][1:]:
        parts += [f"### `{path}`\n", _prose(nested), _key_table(nested, path, list(nested.model_fields))]
    return parts


def _presets() -> list[str]:
    folder = files("spaces") / "presets"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return [f'```toml title="{name}"\n{(folder / name).read_text()}```\n' for name in names]


def _prose(model: type[BaseModel]) -> str:
    prose = re.sub(r"^\[\w+\](?: \w+)?: (\w)", lambda match: match[1].upper(), described_keys(model).prose)
    return prose + "\n"


def _key_table(model: type[BaseModel], path: str, keys: list[str]) -> str:
    schema = model.model_json_schema()
    required, definitions = schema.get("required", []), schema.get("$defs", {})
    texts = described_keys(model).keys
    rows = []
    for key in keys:
        of_key = schema["properties"][key]
        rows.append(
            [
                f"`{key}`",
                type_in_words(of_key, definitions),
                default_in_words(key, of_key, key in required),
                _meaning(texts.get(key, ""), f"{path}.{key}", key),
            ]
        )
    return table(["key", "value", "default", "meaning"], rows)


def _meaning(text: str, path: str, key: str) -> str:
    names = _NAMES.get(path, _NAMES.get(key))
    if re.match(r"[a-z]+ ", text):
        text = text[:1].upper() + text[1:]
    if names is None:
        return text
    return f"{text.rstrip('.')}{'. ' if text else ''}One of {', '.join(f'`{name}`' for name in names)}."


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the settings classes that an annotation names, as in `Stall | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]

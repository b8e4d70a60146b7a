"""Presets: named files that say what a sweep may vary and between which bounds."""

import tomllib
from importlib.resources import files
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pruning.methods.registry import get_method
from pruning.names import nearest_name

Ratio = Annotated[float, Field(ge=0, lt=1)]


class Preset(BaseModel):
    """Bounds of a space; `level` and `decay` are closed ranges, `offset` the largest distance from the level."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    methods: tuple[str, ...] = Field(min_length=1)
    level: tuple[Ratio, Ratio]
    offset: float = Field(ge=0, lt=1)
    decay: tuple[Ratio, Ratio]
    neighbours: int = Field(ge=1)
    round_to: int = Field(ge=1)

    @model_validator(mode="after")
    def _methods_are_known(self) -> Self:
        for name in self.methods:
            get_method(name)
        return self

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        for name, (low, high) in (("level", self.level), ("decay", self.decay)):
            if low > high:
                raise ValueError(f"{name} is [{low}, {high}]: the lower bound must come first")
        return self


def preset_names() -> list[str]:
    """Names of the presets that come with the package."""
    return sorted(file.name.removesuffix(".toml") for file in files("spaces").joinpath("presets").iterdir())


def load_preset(name: str, **changes: object) -> Preset:
    """A preset by name, with some of its entries replaced.

    Raises:
        ValueError: no such preset, an unknown entry, or a value out of its range.
    """
    if name not in preset_names():
        nearest = nearest_name(name, preset_names())
        raise ValueError(f"unknown preset {name!r}; known: {', '.join(preset_names())}; nearest: {nearest!r}")
    text = files("spaces").joinpath("presets", f"{name}.toml").read_text()
    return Preset.model_validate({**tomllib.loads(text), **changes})

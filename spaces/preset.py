"""Presets: named files that say what a sweep may vary and between which bounds."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from types import GenericAlias
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from pruning.frozen_mapping import FEWEST_BITS, MOST_BITS
from pruning.methods.hyperparameters import Hyperparameter
from pruning.methods.registry import all_hyperparameters, get_method
from pruning.names import unknown_name
from pruning.schedule import QuantizationTraining, SparsityTraining

Ratio = Annotated[float, Field(ge=0, lt=1)]
Magnitude = Annotated[float, Field(ge=0)]
Bits = Annotated[int, Field(ge=FEWEST_BITS, le=MOST_BITS)]
Tilt = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]
Allocation = Literal["uniform", "stage", "group", "independent", "global"]


def _as_pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int | float) else value


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


# A range may be written as one number: it is fixed then.
_PAIR = BeforeValidator(_as_pair)


class Bounds(BaseModel):
    """Base of what a preset holds: frozen; unknown keys are errors; a pair is a closed range, the lower end first."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        for name, value in self:
            if isinstance(value, tuple) and len(value) == 2 and value[0] > value[1] and not isinstance(value[0], str):
                raise ValueError(f"{name} is [{value[0]}, {value[1]}]: the lower bound must come first")
        return self


class SparsityBounds(SparsityTraining, Bounds):
    """Bounds of a last stage's pruning of single weights; everything else is as in every trial.

    Attributes:
        share: range of the share of each layer's weights that goes; or
        threshold: range of the magnitude below which weights go, in all layers. One of the two is named.
    """

    share: tuple[Ratio, Ratio] | None = None
    threshold: tuple[Magnitude, Magnitude] | None = None

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (self.share is None) == (self.threshold is None):
            raise ValueError("either a range of shares or a range of thresholds must be named")
        return self

    @property
    def measure(self) -> tuple[str, float, float]:
        """Name of the field that is varied, with its bounds."""
        if self.share is not None:
            return "share", *self.share
        assert self.threshold is not None
        return "threshold", *self.threshold


class QuantizationBounds(QuantizationTraining, Bounds):
    """Bounds of a last stage's quantization; everything else is as in every trial.

    Attributes:
        bits: range of the common level of bits.
        bits_offset: how far a group's bits may lie from that level.
    """

    bits: tuple[Bits, Bits]
    bits_offset: int = Field(default=0, ge=0, le=MOST_BITS - FEWEST_BITS)


class Preset(Bounds):
    """Bounds of a space. A range that is one number, or twice the same, is no dimension: it is fixed.

    Attributes:
        methods: names of pruning methods, one of which each trial runs.
        allocation: how channels to remove are shared out: "uniform" takes the level as it is; "stage" and "group"
            add the tilt, and an offset a stage or a group; "independent" has one free ratio a group and no level;
            "global" ranks all filters of the network together and takes that share of them (BAFD). Of several, each
            trial has one.
        level: range of the share of channels to remove; of each group's own in an "independent" allocation.
        tilt: range of how much more than the level goes from groups that can spare it, by the sensitivity map;
            without a map it is left out.
        offset: the largest distance of a group's ratio from level and tilt.
        residual: whether groups that several layers add up to may lose channels ("joint") or keep all ("locked").
        descriptor: whether the group that fixes the descriptor's size may lose channels ("open") or keeps all
            ("locked").
        patience: epochs of standstill after which progressive methods stop; 0 for never.
        epochs: range of a trial's epochs before its last stage; None for the sweep's own.
        learning_rate: range, on a logarithmic scale, to two digits; None for the sweep's own.
        round_to: kept widths are multiples of this.
        sparsity, quantization: bounds of a last stage; absent without one.
    """

    methods: tuple[str, ...] = Field(min_length=1)
    allocation: Annotated[tuple[Allocation, ...], Field(min_length=1), BeforeValidator(_as_list)] = ("group",)
    level: Annotated[tuple[Ratio, Ratio], _PAIR] = (0.0, 0.0)
    tilt: Annotated[tuple[Tilt, Tilt], _PAIR] = (0.0, 0.0)
    offset: float = Field(default=0.0, ge=0, lt=1)
    residual: Literal["joint", "locked"] = "joint"
    descriptor: Literal["locked", "open"] = "locked"
    patience: int = Field(default=0, ge=0)
    epochs: Annotated[tuple[Count, Count], _PAIR] | None = None
    learning_rate: Annotated[tuple[Rate, Rate], _PAIR] | None = None
    round_to: int = Field(default=8, ge=1)
    sparsity: SparsityBounds | None = None
    quantization: QuantizationBounds | None = None

    @model_validator(mode="after")
    def _methods_are_known(self) -> Self:
        for key, names in (("methods", self.methods), ("allocation", self.allocation)):
            if len(set(names)) < len(names):
                raise ValueError(f"{key}: {list(names)}; each once is right")
        for name in self.methods:
            if get_method(name).removes_channels:
                continue
            if self.quantization is None:
                raise ValueError(f"method {name!r} needs [space.quantization]; the preset 'trained_pq' has one")
            if self.coding_epochs == 0:
                raise ValueError(f"method {name!r} trains in its last stage alone, whose epochs are all 0")
        if self.sparsity is not None and self.quantization is None:
            raise ValueError("sparsity needs quantization: the file holds codes")
        return self

    @property
    def coding_epochs(self) -> int:
        """Epochs of the last stage."""
        return sum(stage.epochs for stage in (self.sparsity, self.quantization) if stage is not None)

    def range_of(self, hyperparameter: Hyperparameter) -> tuple[float, float]:
        """Return the closed range that a hyperparameter is proposed from: the preset's, or the method's own."""
        low, high = getattr(self, hyperparameter.name) or (hyperparameter.proposed.low, hyperparameter.proposed.high)
        return low, high

    def plain_hyperparameters(self, method: str) -> dict[str, float]:
        """Return the hyperparameters of a schedule that nobody has preferences for: defaults, moved into their ranges.

        Those that follow from each group's ratio are left out. Those that all schedules hold are named even where the
        method lacks them.

        Args:
            method: name of the method.
        """
        own = get_method(method).hyperparameters()
        held = [each for each in all_hyperparameters().values() if each.name in own or each.proposed.always_written]
        ranges = {each: self.range_of(each) for each in held}
        plain = {each: each.plain_value(ratio=None) for each in held}
        return {
            each.name: min(max(value, ranges[each][0]), ranges[each][1])
            for each, value in plain.items()
            if value is not None
        }


def _bounds_field(hyperparameter: Hyperparameter) -> tuple[Any, Any]:
    """Return type and default of a preset's field that bounds a hyperparameter; absent from JSON where it is None."""
    pair: Any = Annotated[(GenericAlias(tuple, (hyperparameter.annotation, hyperparameter.annotation)), _PAIR)]
    proposed = hyperparameter.proposed
    if proposed.always_written:
        return pair, Field(default=(proposed.low, proposed.high), description=proposed.acts_on)
    described = f"{proposed.acts_on}; left out, it is in [{proposed.low:g}, {proposed.high:g}]"
    return pair | None, Field(default=None, exclude_if=lambda bounds: bounds is None, description=described)


# Every method's hyperparameters are keys too: a method is added without a change here.
_BOUNDS_FIELDS: dict[str, Any] = {name: _bounds_field(each) for name, each in all_hyperparameters().items()}
PRESET_MODEL: Final[type[Preset]] = create_model("Preset", __base__=Preset, __doc__=Preset.__doc__, **_BOUNDS_FIELDS)


def preset_names() -> list[str]:
    """Return the names of the presets that come with the package."""
    return sorted(file.name.removesuffix(".toml") for file in files("spaces").joinpath("presets").iterdir())


def load_preset(name: str, /, **changes: Any) -> Preset:
    """Load a preset by name, with some of its entries replaced; entries of a section are replaced one by one.

    Raises:
        ValueError: no such preset, an unknown entry, or a value out of its range.
    """
    if name not in preset_names():
        raise ValueError(unknown_name("preset", name, preset_names()))
    entries = tomllib.loads(files("spaces").joinpath("presets", f"{name}.toml").read_text())
    for key, value in changes.items():
        merges = isinstance(value, Mapping) and isinstance(entries.get(key), Mapping)
        entries[key] = {**entries[key], **value} if merges else value
    return PRESET_MODEL.model_validate(entries)

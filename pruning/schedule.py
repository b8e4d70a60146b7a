"""What one trial does to the network: frozen, JSON there and back, a stable hash as identity."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pruning.frozen_mapping import FEWEST_BITS, MOST_BITS, FrozenMapping, GroupBits, Ratios
from pruning.identity import json_identity
from pruning.methods.base import Method
from pruning.methods.registry import get_method


def _known_method(name: str) -> str:
    return get_method(name).name


class SparsityTraining(BaseModel):
    """How single weights are pruned, whichever they are.

    Attributes:
        penalty: λ of the penalty λ·Σ|W| that is added to the loss while it is `penalised`.
        rounds: how often it is penalised, pruned and retrained. A share is approached in equal steps.
        penalised_epochs, retrained_epochs: of each round; the pruned weights stay zero while the rest is retrained.
        learning_rate: of these epochs; None for the schedule's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    penalty: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    rounds: int = Field(default=1, ge=1)
    penalised_epochs: int = Field(default=0, ge=0)
    retrained_epochs: int = Field(default=1, ge=0)
    learning_rate: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _penalty_has_epochs(self) -> Self:
        if self.penalty > 0 and self.penalised_epochs == 0:
            raise ValueError(f"a penalty of {self.penalty} needs penalised_epochs of at least 1, got 0")
        return self

    @property
    def epochs(self) -> int:
        """Epochs of all rounds."""
        return self.rounds * (self.penalised_epochs + self.retrained_epochs)


class Sparsity(SparsityTraining):
    """Single weights that go to zero: what the first half of trained pruning + quantization does.

    Attributes:
        threshold: weights of smaller magnitude go, the same threshold in all layers, as in the paper; or
        share: the share of each layer's weights that goes, the smallest first, in [0, 1). One of the two is named.
    """

    threshold: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    share: float | None = Field(default=None, ge=0, lt=1, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (self.threshold is None) == (self.share is None):
            raise ValueError(f"either a threshold or a share, got threshold {self.threshold} and share {self.share}")
        return self


class QuantizationTraining(BaseModel):
    """How weights in few bits are trained and kept, however many bits they have.

    Attributes:
        grid: "kmeans", a codebook a layer, whose centres are trained; or "uniform", equal steps a channel, trained
            straight-through.
        epochs: of that training; 0 only quantizes.
        learning_rate: of these epochs; None for the schedule's.
        huffman: whether codes are Huffman-coded on disk.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    grid: Literal["kmeans", "uniform"] = "kmeans"
    epochs: int = Field(default=1, ge=0)
    learning_rate: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    huffman: bool = False


class Quantization(QuantizationTraining):
    """Weights in few bits: what the second half of trained pruning + quantization does.

    Attributes:
        bits: of each weight, 2 to 8, in layers that `group_bits` does not name.
        group_bits: group id, or the name of a layer that belongs to no group → bits.
    """

    bits: int = Field(default=MOST_BITS, ge=FEWEST_BITS, le=MOST_BITS)
    group_bits: Annotated[Mapping[str, int], AfterValidator(GroupBits), PlainSerializer(dict)] = GroupBits({})


class Schedule(BaseModel):
    """How one trial prunes and trains.

    Attributes:
        method: a name in `pruning.methods.registry.METHODS`.
        ratios: group id → share of its channels to remove, in [0, 1). A group that is not named keeps all.
        decay: what channels about to go are multiplied by after each epoch, in [0, 1); None for the paper's, which
            follows from each group's ratio (`pruning.decay.default_decay`), and for methods that use none.
        neighbours: how many neighbours the local criterion looks at (at least 1).
        patience: a progressive method stops once its choice and the chosen weights stood still for so many epochs;
            None trains all epochs.
        epochs: epochs of fine-tuning before and while channels go, or after they are gone (at least 1; 0 for
            trained_pq).
        learning_rate: of the backbone (above 0).
        round_to: kept widths are rounded to multiples of this (at least 1).
        open_descriptor: whether ratios may name the group that fixes the descriptor's size.
        sparsity, quantization: a last stage on the cut network; None leaves it out.
        hyperparameters: name → value of those that the method declares and that are no fields here; values that are not
            named are the method's defaults.

    Raises:
        ValidationError: a value is out of range, or does not suit the method; it is a ValueError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Annotated[str, AfterValidator(_known_method)]
    ratios: Annotated[Mapping[str, float], AfterValidator(Ratios), PlainSerializer(dict)]
    decay: float | None = Field(default=None, ge=0, lt=1, allow_inf_nan=False)
    neighbours: int = Field(default=1, ge=1)
    patience: int | None = Field(default=None, ge=1)
    epochs: int = Field(ge=0)
    learning_rate: float = Field(gt=0, allow_inf_nan=False)
    round_to: int = Field(default=8, ge=1)
    open_descriptor: bool = False
    sparsity: Sparsity | None = None
    quantization: Quantization | None = None
    hyperparameters: Annotated[Mapping[str, int | float], AfterValidator(FrozenMapping), PlainSerializer(dict)] = Field(
        default=FrozenMapping({}), validate_default=True, exclude_if=lambda values: not values
    )

    @field_validator("hyperparameters")
    @classmethod
    def _hyperparameters_suit_method(cls, given: Mapping[str, float], info: ValidationInfo) -> Mapping[str, float]:
        if "method" not in info.data:
            return given  # the method is refused already
        method = get_method(info.data["method"])
        own = [name for name in method.hyperparameters() if name not in cls.model_fields]
        if unknown := sorted(given.keys() - set(own)):
            has = f"it has {', '.join(own)}" if own else "it has none that is named here"
            raise ValueError(f"method {method.name!r} has no hyperparameter {unknown[0]!r}; {has}")
        complete = method(**given)
        return FrozenMapping({name: getattr(complete, name) for name in own})

    @model_validator(mode="after")
    def _decay_suits_method(self) -> Self:
        if self.decay is not None and "decay" not in get_method(self.method).hyperparameters():
            raise ValueError(f"method {self.method!r} uses no decay, got {self.decay}; leave it None")
        return self

    @model_validator(mode="after")
    def _patience_suits_method(self) -> Self:
        if get_method(self.method).cuts_first and self.patience is not None:
            raise ValueError(f"method {self.method!r} chooses once: leave patience None, not {self.patience}")
        return self

    @model_validator(mode="after")
    def _stages_suit_method(self) -> Self:
        if not get_method(self.method).removes_channels:
            if any(self.ratios.values()):
                raise ValueError(f"method {self.method!r} removes no channels: ratios must be 0, got {self.ratios}")
            if self.quantization is None:
                raise ValueError(f"method {self.method!r} needs a quantization, got None")
        elif self.epochs == 0:
            raise ValueError(f"method {self.method!r} needs epochs of at least 1, got 0")
        if self.sparsity is not None and self.quantization is None:
            raise ValueError("sparsity needs a quantization, got None: the file holds codes (8 bits lose little)")
        if self.total_epochs == 0:
            raise ValueError("epochs are 0 in every stage; at least one must train")
        return self

    def build_method(self) -> Method:
        """Return the pruning method with the hyperparameters that this schedule names."""
        method = get_method(self.method)
        fields = {name: getattr(self, name) for name in method.hyperparameters() if name in type(self).model_fields}
        return method(**fields, **self.hyperparameters)

    @property
    def total_epochs(self) -> int:
        """Epochs of all stages."""
        later = (stage.epochs for stage in (self.sparsity, self.quantization) if stage is not None)
        return self.epochs + sum(later)

    @property
    def identity(self) -> str:
        """16 hexadecimal digits of SHA-256 over the canonical JSON: equal for equal schedules, everywhere."""
        return json_identity(self.model_dump(mode="json"), separators=(",", ":"))


def hyperparameter_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a Schedule that hold these hyperparameters.

    Those that every schedule has always held are fields of their own; all others share one mapping.

    Args:
        values: name → value.
    """
    own = {name: value for name, value in values.items() if name in Schedule.model_fields}
    shared = {name: value for name, value in values.items() if name not in own}
    return {**own, "hyperparameters": shared} if shared else own

"""The settings that all trials of a sweep share, from the sweep file: data, network, training, timing."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    create_model,
    field_validator,
    model_serializer,
    model_validator,
)

from retrieval.datasets.base import ExifOrientation
from retrieval.datasets.format import Source
from retrieval.datasets.reid_names import name_rule
from retrieval.images import ImageSize, height_and_width
from retrieval.networks.network import BACKBONES, POOLINGS
from retrieval.runtime.latency import LatencySettings
from retrieval.text import choose
from retrieval.training.losses.registry import LOSSES, annotation_of, check_options, options_by_key

_TRACED_SIDE, _LEAST_SIDE = 128, 64

Side = Annotated[int, Field(ge=16)]
Size = Side | tuple[Side, Side]


class Settings(BaseModel):
    """Base of everything read from a sweep file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSettings(Settings):
    """[data]: where the images are, and at which size they are read.

    `train`, `select_on` and `report_on` are data sets below `root`: each a folder whose format is recognised, or a
    table (see `retrieval.datasets.format.Source`).

    Attributes:
        root: folder of the data sets.
        train: training images.
        select_on: validation split, by which the search selects.
        report_on: test split, on which only the finished front is scored.
        image_size: longer side in pixels at most, or [height, width] exactly.
        training_size: the same for training; None: image_size.
        exif_orientation: "apply" turns photographs upright as their EXIF data ask, "ignore" takes them as stored; None:
            as the format of each set has it ("ignore" for the published benchmarks, "apply" for one's own folders and
            tables).
        pattern: how files of re-identification sets are named, for each of the three that names none itself (see
            `Source.pattern`); None: recognised.
    """

    root: Path
    train: Source = Source(path="train")
    select_on: Source = Source(path="val")
    report_on: Source = Source(path="test")
    image_size: Size
    training_size: Size | None = None
    exif_orientation: ExifOrientation | None = None
    pattern: str | None = None

    @field_validator("train", "select_on", "report_on", mode="before")
    @classmethod
    def _a_word_is_a_folder(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _pattern_is_of_every_set(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(pattern := values.get("pattern"), str):
            return values
        name_rule(pattern)  # said of the key that was written, not of the three that take it over
        sources = {key: values.get(key, cls.model_fields[key].default) for key in ("train", "select_on", "report_on")}
        return {**values, **{key: _named_by(pattern, source) for key, source in sources.items()}}

    @model_serializer(mode="wrap")
    def _without_keys_of_later_versions(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A sweep is known by a hash of this: a key that came later counts only where it is given.
        later = ("exif_orientation", "pattern")
        return {key: value for key, value in write(self).items() if key not in later or value is not None}

    @model_validator(mode="after")
    def _report_is_not_selection(self) -> Self:
        if self.select_on == self.report_on:
            raise ValueError(f"select_on and report_on are both {self.select_on.path!r}: a score that was searched for")
        return self


def _named_by(pattern: str, source: Any) -> Any:
    """Return a data set, in any form that a sweep file may name it in, whose files are named by a pattern."""
    given = {"path": source} if isinstance(source, str) else source
    if isinstance(given, Source):
        given = given.model_dump()
    return {"pattern": pattern, **given} if isinstance(given, dict) else source


class DescriptorSettings(Settings):
    """[descriptor]: how the network's output is processed before it is compared; delivered as part of the network.

    Attributes:
        scales: of the image; the descriptors at all scales are averaged.
        whitening: "pca", or "lw", which is learned from pairs of matching images.
        size: of the whitened descriptor; None keeps the network's.
        images: training images that the whitening is fitted to.
    """

    scales: tuple[float, ...] = Field(default=(1.0,), min_length=1)
    whitening: Literal["none", "pca", "lw"] = "none"
    size: int | None = Field(default=None, ge=1)
    images: int = Field(default=5000, ge=2)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if wrong := [scale for scale in self.scales if not 0 < scale <= 4]:
            raise ValueError(f"scales are {list(self.scales)}: {wrong[0]} is not in (0, 4]")
        if len(set(self.scales)) < len(self.scales):
            raise ValueError(f"scales are {list(self.scales)}: each once")
        if self.size is not None and self.whitening == "none":
            raise ValueError(f'size is {self.size} without a whitening to reduce to it: "pca" or "lw"')
        return self


class EvaluationSettings(Settings):
    """[evaluation]: how descriptors are compared.

    Attributes:
        gallery: with "dense" the pruned network's queries are also ranked against a gallery that the dense network
            described (`map_asymmetric`), and the pruned network keeps the dense one's whitening, because both must
            describe images in the same space.
        index: a faiss factory string; any but "Flat" is approximate and reports `index_bytes` and `search_ms`.
        batch_size: images that are described at once.
        autocast: half precision on a GPU.
    """

    gallery: Literal["own", "dense"] = "own"
    index: str = "Flat"
    batch_size: int = Field(default=64, ge=1)
    autocast: bool = False

    def half_on(self, device: torch.device) -> bool:
        """Return whether descriptors are computed in half precision on this device."""
        return self.autocast and device.type == "cuda"


class NetworkSettings(Settings):
    """[network]: the dense network, as `retrieval.networks.network.build_network` takes it.

    Attributes:
        name: of the backbone.
        pooling: from feature maps to one vector.
        descriptor_size: of a projection behind the pooling; None adds no projection.
        head: "reid" adds a neck and, for training, a classifier.
        weights: that the training starts from: "random", "imagenet", or a file.
        unit_pooled: unit length before the projection, as in cirtorch.
    """

    name: str
    pooling: str = "gem"
    descriptor_size: int | None = Field(default=None, ge=1)
    head: Literal["plain", "reid"] = "plain"
    weights: str | None = None
    unit_pooled: bool = False

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        choose("network", BACKBONES, self.name)
        choose("pooling", POOLINGS, self.pooling)
        if self.name == "mini_resnet" and self.weights == "imagenet":
            raise ValueError("mini_resnet has no imagenet weights: leave weights out, or name a file")
        return self


# Keys of [loss] that every record and identity has held since the first version, given or not.
_ALWAYS_WRITTEN = frozenset(
    ("margin", "scale", "smoothing", "negatives", "queries", "pool", "classes_per_batch", "images_per_class")
)


def _declare_loss_options() -> Any:
    """Return a settings class with the names of all losses, and a field for each option that one of them declares."""
    fields: dict[str, Any] = {"name": (Literal.__getitem__(tuple(LOSSES)), "cosine_softmax")}
    for key, takers in options_by_key().items():
        texts = {option.description: None for option in takers.values()}
        fields[key] = (annotation_of(takers), Field(default=None, description="; ".join(texts)))
    return create_model("DeclaredLossOptions", __base__=Settings, __module__=__name__, **fields)


_DeclaredLossOptions: Any = _declare_loss_options()


class LossSettings(_DeclaredLossOptions):
    """[loss]: what the dense network and the trials are trained with (see `retrieval.training.losses.registry`).

    A value that is not given is the one that the loss was published with; a value that the loss does not know is an
    error. contrastive and triplet train on batches of `batch_size` tuples, batch_hard and reid on `classes_per_batch` ×
    `images_per_class` images, cosine_softmax on `batch_size` images.

    Attributes:
        name: the loss; its other keys are the options that it declares.
    """

    freeze_batchnorm: bool = Field(default=False, description="statistics stay as they are while training")
    match: float = Field(default=0, ge=0, description="weight of matching the dense descriptors, in trials alone")

    @model_validator(mode="after")
    def _values_belong_to_the_loss(self) -> Self:
        check_options(self.name, self._given(options_by_key()))
        return self

    @model_serializer(mode="wrap")
    def _without_options_of_later_losses(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Baselines and sweeps are known by a hash of this: a loss that is added must not change that of the others.
        later = options_by_key().keys() - _ALWAYS_WRITTEN
        return {key: value for key, value in write(self).items() if value is not None or key not in later}

    @property
    def of_loss(self) -> dict[str, Any]:
        """The options of the loss itself that are given."""
        return self._given(option.name for option in LOSSES[self.name].options)

    @property
    def of_batches(self) -> dict[str, Any]:
        """The options of its batches that are given."""
        return self._given(option.name for option in LOSSES[self.name].batches.options)

    def _given(self, keys: Iterable[str]) -> dict[str, Any]:
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}


class TrainingSettings(Settings):
    """[dense]: how the dense network is trained: AdamW with a cosine learning rate, in steps, never in seconds.

    Attributes:
        epochs: 0 trains nothing: the initial weights, which `weights` names, are trained already.
        steps_per_epoch: None goes once through the training set.
        batch_size: images, or tuples where the loss takes those.
        learning_rate: at the first step.
        weight_decay: of AdamW.
        seed: of the initial weights and the batches.
    """

    epochs: int = Field(ge=0)
    steps_per_epoch: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    seed: int = Field(default=0, ge=0)


class FinetuneSettings(Settings):
    """How a trial trains; its epochs and learning rate are in its Schedule.

    Attributes:
        steps_per_epoch: None goes once through the training set.
        batch_size: images, or tuples where the loss takes those.
        weight_decay: of AdamW.
        recalibration_steps: batches that BatchNorm's statistics are measured on after a cut.
        seed: of the batches.
    """

    steps_per_epoch: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=64, ge=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    recalibration_steps: int = Field(default=10, ge=1)
    seed: int = Field(default=0, ge=0)


class TrialSettings(Settings):
    """All that a trial needs besides its Schedule: sections of the sweep file.

    Attributes:
        data: the images.
        network: the dense network.
        dense: its training.
        finetune: the training of trials.
        latency: how speed is measured.
        loss: of all trainings.
        descriptor: scales and whitening.
        evaluation: how descriptors are compared.
    """

    data: DataSettings
    network: NetworkSettings
    dense: TrainingSettings
    finetune: FinetuneSettings
    latency: LatencySettings
    loss: LossSettings = LossSettings()
    descriptor: DescriptorSettings = DescriptorSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @model_validator(mode="after")
    def _head_fits_the_loss(self) -> Self:
        chosen = LOSSES[self.loss.name]
        if (self.network.head == "reid") != chosen.needs_classifier:
            trainers = " or ".join(f'"{name}"' for name, kind in LOSSES.items() if kind.needs_classifier)
            raise ValueError(
                f"network.head is {self.network.head!r} and loss.name {self.loss.name!r}: "
                f'head "reid" has the classifier that loss {trainers} trains, and each needs the other'
            )
        if self.dense.epochs == 0 and chosen.learns:
            plain = [f'"{name}"' for name, kind in LOSSES.items() if not kind.learns and not kind.needs_classifier]
            raise ValueError(
                f"dense.epochs is 0, but {self.loss.name} has {chosen.learns} to train: at least 1, or a loss that has "
                f"none ({', '.join(plain)})"
            )
        return self


def example_image(image_size: ImageSize) -> torch.Tensor:
    """Return one image, 1×3×H×W, on which costs are counted."""
    return torch.zeros(1, 3, *height_and_width(image_size))


def traced_size(image_size: ImageSize) -> tuple[int, int]:
    """Return height and width at which networks are traced and compared: smaller than the images, to save time.

    Networks take images of any size, so what holds at one size holds at all.
    """
    height, width = height_and_width(image_size)
    shrink = min(1.0, _TRACED_SIDE / max(height, width))
    return max(_LEAST_SIDE, round(height * shrink)), max(_LEAST_SIDE, round(width * shrink))


def tracing_image(image_size: ImageSize) -> torch.Tensor:
    """Return one image, 1×3×H×W, of `traced_size`."""
    return torch.zeros(1, 3, *traced_size(image_size))

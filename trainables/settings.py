"""What all trials of a sweep have in common, from the sweep file: data, network, training, timing."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from retrieval.datasets.format import Source
from retrieval.images import ImageSize, height_and_width
from retrieval.networks.network import BACKBONES, POOLINGS
from retrieval.runtime.latency import LatencySettings
from retrieval.text import choose

_TRACED_SIDE, _LEAST_SIDE = 128, 64

Side = Annotated[int, Field(ge=16)]
Size = Side | tuple[Side, Side]


class Settings(BaseModel):
    """Base of everything read from a sweep file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSettings(Settings):
    """[data]: where the images are, and at which size they are read.

    `train`, `select_on` and `report_on` are data sets below `root`: each a folder whose format is recognised, or a
    table (see `retrieval.datasets.format.Source`). The search sees `select_on` alone; `report_on` scores the finished
    front.
    """

    root: Path
    train: Source = Source(path="train")
    select_on: Source = Source(path="val")
    report_on: Source = Source(path="test")
    image_size: Size = Field(description="longer side in pixels at most, or [height, width] exactly")
    training_size: Size | None = Field(default=None, description="None: image_size")

    @field_validator("train", "select_on", "report_on", mode="before")
    @classmethod
    def _a_word_is_a_folder(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _report_is_not_selection(self) -> Self:
        if self.select_on == self.report_on:
            raise ValueError(f"select_on and report_on are both {self.select_on.path!r}: a score that was searched for")
        return self


class DescriptorSettings(Settings):
    """[descriptor]: what becomes of the network's output before it is compared; delivered as part of the network."""

    scales: tuple[float, ...] = Field(default=(1.0,), min_length=1, description="of the image, descriptors averaged")
    whitening: Literal["none", "pca", "lw"] = "none"
    size: int | None = Field(default=None, ge=1, description="of the whitened descriptor; None: as it was")
    images: int = Field(default=5000, ge=2, description="training images that the whitening is fitted on")

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

    With `gallery = "dense"` the pruned network's queries are also ranked against a gallery that the dense one described
    (`map_asymmetric`), and it keeps the dense network's whitening, since both must live in one space. `index` is a
    faiss factory string; anything but "Flat" reports `index_bytes` and `search_ms`.
    """

    gallery: Literal["own", "dense"] = "own"
    index: str = "Flat"
    batch_size: int = Field(default=64, ge=1)
    autocast: bool = Field(default=False, description="half precision on a GPU")

    def half_on(self, device: torch.device) -> bool:
        """Whether descriptors are computed in half precision on this device."""
        return self.autocast and device.type == "cuda"


class NetworkSettings(Settings):
    """The dense network, as `retrieval.networks.network.build_network` takes it."""

    name: str
    pooling: str = "gem"
    descriptor_size: int | None = Field(default=None, ge=1)
    head: Literal["plain", "reid"] = Field(default="plain", description="reid: a neck, and a classifier to train with")
    weights: str | None = Field(default=None, description='"random", "imagenet", or a file')
    unit_pooled: bool = Field(default=False, description="unit length before the projection, as in cirtorch")

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        choose("network", BACKBONES, self.name)
        choose("pooling", POOLINGS, self.pooling)
        if self.name == "mini_resnet" and self.weights == "imagenet":
            raise ValueError("mini_resnet has no imagenet weights: leave weights out, or name a file")
        return self


_TUPLES = ("negatives", "queries", "pool")
_CLASSES = ("classes_per_batch", "images_per_class")
# What the loss itself is made with, and what its batches are made with.
_LOSSES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cosine_softmax": (("scale",), ()),
    "contrastive": (("margin",), _TUPLES),
    "triplet": (("margin",), _TUPLES),
    "batch_hard": (("margin",), _CLASSES),
    "reid": (("margin", "smoothing"), _CLASSES),
}


class LossSettings(Settings):
    """[loss]: what the dense network and the trials are trained with (see `retrieval.training.losses`).

    None is the value that the loss was published with; a value that the loss does not know is an error. contrastive and
    triplet train on batches of `batch_size` tuples, batch_hard and reid on `classes_per_batch` × `images_per_class`
    images, cosine_softmax on `batch_size` images.
    """

    name: Literal["cosine_softmax", "contrastive", "triplet", "batch_hard", "reid"] = "cosine_softmax"
    margin: Annotated[float, Field(gt=0)] | Literal["soft"] | None = None
    scale: float | None = Field(default=None, gt=0)
    smoothing: float | None = Field(default=None, ge=0, lt=1)
    negatives: int | None = Field(default=None, ge=1, description="of a tuple")
    queries: int | None = Field(default=None, ge=1, description="tuples mined an epoch")
    pool: int | None = Field(default=None, ge=1, description="images that negatives are mined among, an epoch")
    classes_per_batch: int | None = Field(default=None, ge=2)
    images_per_class: int | None = Field(default=None, ge=2)
    freeze_batchnorm: bool = Field(default=False, description="statistics stay as they are while training")
    match: float = Field(default=0, ge=0, description="weight of matching the dense descriptors, in trials alone")

    @model_validator(mode="after")
    def _values_belong_to_the_loss(self) -> Self:
        known = [key for keys in _LOSSES[self.name] for key in keys]
        for key in dict.fromkeys(key for table in _LOSSES.values() for keys in table for key in keys):
            if key not in known and getattr(self, key) is not None:
                raise ValueError(f"{key} is {getattr(self, key)!r}, but {self.name} takes only {', '.join(known)}")
        if self.margin == "soft" and "classes_per_batch" not in known:
            raise ValueError(f'margin is "soft", but {self.name} takes a number: batch_hard and reid know a soft one')
        return self

    @property
    def of_loss(self) -> dict[str, Any]:
        """What is given of the loss's own values."""
        return self._given(_LOSSES[self.name][0])

    @property
    def of_batches(self) -> dict[str, Any]:
        """What is given of its batches' values."""
        return self._given(_LOSSES[self.name][1])

    def _given(self, keys: tuple[str, ...]) -> dict[str, Any]:
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}


class TrainingSettings(Settings):
    """How the dense network is trained: AdamW with a cosine learning rate, in steps, never in seconds."""

    epochs: int = Field(ge=0, description="0: the weights that it starts from are trained")
    steps_per_epoch: int | None = Field(default=None, ge=1, description="None: once through the training set")
    batch_size: int = Field(default=64, ge=1, description="images, or tuples where the loss takes those")
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    seed: int = Field(default=0, ge=0)


class FinetuneSettings(Settings):
    """How a trial trains; its epochs and learning rate stand in its Schedule."""

    steps_per_epoch: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=64, ge=1, description="images, or tuples where the loss takes those")
    weight_decay: float = Field(default=1e-4, ge=0)
    recalibration_steps: int = Field(default=10, ge=1, description="batches that BatchNorm is measured on after a cut")
    seed: int = Field(default=0, ge=0)


class TrialSettings(Settings):
    """Everything that a trial needs besides its Schedule."""

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
        if (self.network.head == "reid") != (self.loss.name == "reid"):
            raise ValueError(
                f"network.head is {self.network.head!r} and loss.name {self.loss.name!r}: "
                'head "reid" has the classifier that loss "reid" trains, and each needs the other'
            )
        if self.dense.epochs == 0 and self.loss.name == "cosine_softmax":
            raise ValueError(
                "dense.epochs is 0, but cosine_softmax has class directions to train: at least 1, or a loss that has "
                'none ("contrastive", "triplet", "batch_hard")'
            )
        return self


def example_image(image_size: ImageSize) -> torch.Tensor:
    """One image, 1×3×H×W: what cost is counted on."""
    return torch.zeros(1, 3, *height_and_width(image_size))


def traced_size(image_size: ImageSize) -> tuple[int, int]:
    """Height and width that networks are traced and compared at: smaller where that saves time.

    Networks take images of any size, so what is true of one size is true of all.
    """
    height, width = height_and_width(image_size)
    shrink = min(1.0, _TRACED_SIDE / max(height, width))
    return max(_LEAST_SIDE, round(height * shrink)), max(_LEAST_SIDE, round(width * shrink))


def tracing_image(image_size: ImageSize) -> torch.Tensor:
    """One image, 1×3×H×W, of `traced_size`."""
    return torch.zeros(1, 3, *traced_size(image_size))

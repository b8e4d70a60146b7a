"""What all trials of a sweep have in common, from the sweep file: data, network, training, timing."""

from pathlib import Path
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from retrieval.latency import LatencySettings
from retrieval.network import BACKBONES, POOLINGS, choose


class Settings(BaseModel):
    """Base of everything read from a sweep file: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSettings(Settings):
    """Where the images are. `train`, `select_on`, `report_on` are folders under `root`.

    `train` holds one folder a place; the search sees `select_on` alone; `report_on` scores the finished front.
    """

    root: Path
    train: str = "train"
    select_on: str = "val"
    report_on: str = "test"
    image_size: int = Field(ge=16, description="longest side in pixels that images are reduced to")

    @model_validator(mode="after")
    def _report_is_not_selection(self) -> Self:
        if self.select_on == self.report_on:
            raise ValueError(f"select_on and report_on are both {self.select_on!r}: a score that was searched for")
        return self


class NetworkSettings(Settings):
    """The dense network, as `retrieval.network.build_network` takes it."""

    name: str
    pooling: str = "gem"
    descriptor_size: int | None = Field(default=None, ge=1)
    weights: str | None = None

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        choose("network", BACKBONES, self.name)
        choose("pooling", POOLINGS, self.pooling)
        if self.name == "mini_resnet" and self.weights == "imagenet":
            raise ValueError("mini_resnet has no imagenet weights: leave weights out, or name a file")
        return self


class TrainingSettings(Settings):
    """How the dense network is trained: AdamW with a cosine learning rate, in steps, never in seconds."""

    epochs: int = Field(ge=1)
    steps_per_epoch: int | None = Field(default=None, ge=1, description="None: once through the training set")
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    seed: int = Field(default=0, ge=0)


class FinetuneSettings(Settings):
    """How a trial trains; its epochs and learning rate stand in its Schedule."""

    steps_per_epoch: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=64, ge=2)
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


def example_image(image_size: int) -> torch.Tensor:
    """One image, 1×3×H×W: what networks are traced and counted with."""
    return torch.zeros(1, 3, image_size, image_size)

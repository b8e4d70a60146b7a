"""Sweep files: read from TOML into one frozen `SweepConfig`, with errors in one line that names the key."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from pruning.identity import json_identity
from retrieval.runtime.latency import LatencySettings
from retrieval.text import need_text
from search.overrides import replace_keys_
from search.study.budget import Budget, StagnationSettings
from search.study.samplers import DEFAULT_SAMPLER, check_name
from spaces.preset import PRESET_MODEL, Preset, load_preset
from tracking.limits import Limits
from tracking.objectives import Protocol, check_objectives, check_reported, reported_metrics
from tracking.reference import check_given
from tracking.sensitivity import SensitivitySettings
from tracking.validation import first_error
from trainables.settings import (
    DataSettings,
    DescriptorSettings,
    EvaluationSettings,
    FinetuneSettings,
    LossSettings,
    NetworkSettings,
    Settings,
    TrainingSettings,
    TrialSettings,
)

# Keys of [search] that may change when a sweep goes on.
_MAY_CHANGE = {"trials", "epochs", "hours", "stop", "max_failures", "step_timeout_s"}
# A file that names no sampler has the identity that it had when this was the default.
_FORMER_DEFAULT = "tpe"


class TrialTraining(FinetuneSettings):
    """[finetune]: how a trial trains, and for how many epochs.

    Attributes:
        epochs: of a trial, unless `space.epochs` varies them.
        learning_rate: at the start, unless `space.learning_rate` varies it.
    """

    epochs: int = Field(ge=1)
    learning_rate: float = Field(gt=0)


class SpaceSettings(Settings):
    """[space]: a preset by name; every other key replaces that entry of the preset (see `spaces.preset.Preset`).

    Attributes:
        preset: name of a file in `spaces/presets/`.
    """

    model_config = ConfigDict(extra="allow")

    preset: str

    def resolve(self) -> Preset:
        """Return the preset with these entries in place of its own."""
        return load_preset(self.preset, **(self.model_extra or {}))


class SearchSettings(Settings):
    """[search]: the budget, the objectives, and the sampler.

    The budget is in trials, epochs of all trials, or hours of the sweep's drivers: at least one of them, and the first
    that is used up ends the search. With a larger one, the same sweep goes on where it ended.

    Attributes:
        epochs: of all trials together.
        hours: that the sweep's drivers run, summed over restarts.
        objectives: metric keys: a quality first, then one or two costs.
        sampler: proposes the trials; left out, `ehvi`, or that with which the sweep in the folder was begun.
        reference: of the hypervolume, for any of the objectives: a value, or a signed number in quotes that is added to
            the dense network's, as "-0.10". Left out, it is 0.8 of the dense quality, and the dense costs. The sampler
            `ehvi` spends nothing below it.
        seed: of the sampler.
    """

    trials: int | None = Field(default=None, ge=1, description="that finish or are stopped early")
    epochs: int | None = Field(default=None, ge=1)
    hours: float | None = Field(default=None, gt=0)
    stop: StagnationSettings | None = Field(
        default=None, description="{growth, trials}: ends a search whose front grows no more"
    )
    objectives: tuple[str, ...] = ("map", "speedup")
    sampler: str | None = None
    reference: dict[str, float | str] = Field(default={}, exclude_if=lambda given: not given)
    seed: int = Field(default=0, ge=0)
    max_failures: int = Field(default=3, ge=0, description="failed trials after which the sweep gives up")
    step_timeout_s: float | None = Field(default=None, gt=0, description="an epoch that takes longer has hung")

    @model_validator(mode="after")
    def _objectives_are_a_quality_and_costs(self) -> Self:
        check_objectives(self.objectives)
        return self

    @model_validator(mode="after")
    def _reference_is_of_objectives(self) -> Self:
        check_given(self.reference, self.objectives)
        return self

    @model_validator(mode="after")
    def _sampler_and_budget_are_right(self) -> Self:
        check_name(self.chosen_sampler)
        _ = self.budget
        return self

    @property
    def chosen_sampler(self) -> str:
        """The sampler, `DEFAULT_SAMPLER` where none is named."""
        return self.sampler or DEFAULT_SAMPLER

    @property
    def budget(self) -> Budget:
        """The budget that trials, epochs, hours and stop make."""
        return Budget(trials=self.trials, epochs=self.epochs, hours=self.hours, stop=self.stop)


class SchedulerSettings(Settings):
    """[scheduler]: whether trials are stopped early, by successive halving on quality and exact cost.

    A trial is judged after `grace` epochs, and again whenever `reduction` times as many are done; one in `reduction`
    goes on (see `search.halving.successive_halving`).

    Attributes:
        name: "rungs" stops trials early, "none" lets every trial train to its end.
        grace: epochs before which no trial is judged.
        reduction: one of so many trials goes on.
        brackets: groups of trials that are first judged later, each `reduction` times as late as the one before.
    """

    name: Literal["rungs", "none"] = "none"
    grace: int = Field(default=1, ge=1)
    reduction: int = Field(default=3, ge=2)
    brackets: int = Field(default=1, ge=1)


class ResourceSettings(Settings):
    """[resources]: CPUs and GPUs of each trial; a fraction of a GPU shares it, without isolating its memory.

    Attributes:
        cpus: cores of one trial.
        gpus: GPUs of one trial, or a fraction of one.
    """

    cpus: int = Field(default=1, ge=1)
    gpus: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _shares_are_of_one_gpu(self) -> Self:
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus is {self.gpus}: above 1 only whole GPUs can be given")
        return self

    @property
    def task_options(self) -> dict[str, float]:
        """The same resources as options of a Ray task."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus}


class SweepConfig(Settings):
    """The configuration of a whole sweep, as its file says.

    Attributes:
        name: of the sweep: its experiment in MLflow, and its folder in `runs/` unless `--storage` is given.
    """

    name: str = Field(pattern=r"^\w[\w.-]*$")
    data: DataSettings
    network: NetworkSettings
    dense: TrainingSettings
    finetune: TrialTraining
    latency: LatencySettings
    space: SpaceSettings
    search: SearchSettings
    loss: LossSettings = LossSettings()
    descriptor: DescriptorSettings = DescriptorSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    limits: Limits = Limits()
    scheduler: SchedulerSettings = SchedulerSettings()
    sensitivity: SensitivitySettings = SensitivitySettings()
    resources: ResourceSettings = ResourceSettings()

    @model_validator(mode="after")
    def _descriptors_can_be_compared(self) -> Self:
        compared = {
            "loss.match": self.loss.match > 0,
            'evaluation.gallery = "dense"': self.evaluation.gallery == "dense",
            "descriptor.size": self.descriptor.size is not None,
        }
        if (self.space.model_extra or {}).get("descriptor") == "open":
            for key, wanted in compared.items():
                if wanted:
                    raise ValueError(f'space.descriptor is "open", but {key} needs descriptors of the dense size')
        return self

    @model_validator(mode="after")
    def _objectives_can_be_reported(self) -> Self:
        self.check_reported(None)
        return self

    def check_reported(self, protocol: Protocol | None) -> None:
        """Refuse an objective that trials do not report.

        Args:
            protocol: that of `data.select_on`; None while it is not known.

        Raises:
            ValueError: names the objective and what it needs.
        """
        evaluation = self.evaluation
        asymmetric, indexed = evaluation.gallery == "dense", evaluation.index != "Flat"
        check_reported(self.search.objectives, reported_metrics(protocol, asymmetric=asymmetric, indexed=indexed))

    @property
    def trial_settings(self) -> TrialSettings:
        """The settings that all trials have in common."""
        finetune = self.finetune.model_dump(exclude={"epochs", "learning_rate"})
        return TrialSettings(
            data=self.data,
            network=self.network,
            dense=self.dense,
            finetune=FinetuneSettings(**finetune),
            latency=self.latency,
            loss=self.loss,
            descriptor=self.descriptor,
            evaluation=self.evaluation,
        )

    @property
    def identity(self) -> str:
        """Sixteen hex digits that depend on all that decides the trials' outcome: not on budget and resources."""
        return json_identity(self.deciding)

    @property
    def deciding(self) -> dict[str, Any]:
        """The part of the configuration that decides the trials' outcome; its space with all entries of the preset."""
        parts = self.model_dump(mode="json", exclude={"resources": True, "search": _MAY_CHANGE})
        parts["search"]["sampler"] = self.search.sampler or _FORMER_DEFAULT
        return {**parts, "space": self.space.resolve().model_dump(mode="json")}


def load_config(
    path: Path, *, data: Path | None = None, trials: int | None = None, overrides: Sequence[str] = ()
) -> SweepConfig:
    """Read a sweep file.

    Args:
        path: the TOML file.
        data: replaces `data.root`; relative to the working directory.
        trials: replaces `search.trials`.
        overrides: "key=value" each, as "dense.epochs=3"; see `search.overrides`.

    Raises:
        ValueError: one line with the file, the key, what was wrong and what would be right.
    """
    if not path.is_file():
        raise ValueError(f"sweep file {path} does not exist")
    try:
        raw = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    replace_keys_(raw, overrides)
    # An error may now lie in the command's options, not in the file.
    source = " ".join([str(path), *(f"--set {override}" for override in overrides)])
    for section, key, value in (("data", "root", data), ("search", "trials", trials)):
        if value is not None and isinstance(raw.get(section), dict):
            raw[section][key] = value
    try:
        config = SweepConfig.model_validate(raw)
    except ValidationError as error:
        raise ValueError(f"{source}: {first_error(error, SweepConfig)}") from error
    try:
        _ = config.trial_settings  # refuses sections that do not fit each other
    except ValidationError as error:
        raise ValueError(f"{source}: {first_error(error, TrialSettings)}") from error
    try:
        config.space.resolve()
    except ValidationError as error:
        raise ValueError(f"{source}: {first_error(error, PRESET_MODEL, inside='space.')}") from error
    except ValueError as error:
        raise ValueError(f"{source}: space.preset: {error}") from error
    return _with_absolute_paths(config)


def _with_absolute_paths(config: SweepConfig) -> SweepConfig:
    """Make paths absolute: workers have other working directories.

    Raises:
        ValueError: the data root is no valid UTF-8: it is written to files that are.
    """
    data = config.data.model_copy(update={"root": config.data.root.expanduser().resolve()})
    need_text(data.root, "data.root")
    network = config.network
    if network.weights not in (None, "random", "imagenet"):
        weights = str(Path(str(network.weights)).expanduser().resolve())
        network = network.model_copy(update={"weights": weights})
    return config.model_copy(update={"data": data, "network": network})

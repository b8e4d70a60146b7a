"""The parts of a sweep, put together from its configuration: groups, space, counted costs, rungs, the searcher."""

import copy
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pruning.allocation import Ranking
from pruning.graph.groups import PrunableGroup
from pruning.methods.registry import get_method
from pruning.predicted_cost import CostModel
from pruning.schedule import Schedule
from search.config import SweepConfig
from search.halving.successive_halving import SuccessiveHalving
from search.sensitivity import groups_to_measure
from search.study.constraints import check_reachable
from search.study.initial_points import Point
from search.study.proposals import Costs
from search.study.samplers import check_sampler
from search.study.searcher import StudySearcher, never_stopped
from spaces.space import Space, rank_filters
from spaces.space_transfer import project
from tracking.record import METRICS
from tracking.sensitivity import SensitivityMap
from trainables.baseline import Baseline, build_dense, dense_groups
from trainables.data import open_data
from trainables.delivery import drop_training_head_
from trainables.pruned_shape import cost_model
from trainables.settings import example_image, tracing_image

Groups = tuple[PrunableGroup, ...]


def build_groups(config: SweepConfig) -> Groups:
    """The groups of the dense network, which need not be trained.

    Raises:
        ValueError: the network cannot be pruned as the file says.
    """
    opens = config.space.resolve().descriptor == "open"
    groups = dense_groups(config.trial_settings, open_descriptor=opens)
    if opens and not any(group.descriptor for group in groups):
        raise ValueError(
            "space.descriptor is 'open', but no convolution writes this network's descriptor: its size "
            "is network.descriptor_size, or a pooling mixes the channels; leave it 'locked'"
        )
    return groups


def build_space(
    config: SweepConfig, groups: Groups, baseline: Baseline | None = None, sensitivity: SensitivityMap | None = None
) -> Space:
    """The space of the sweep.

    Args:
        config: of the sweep.
        groups: of the dense network.
        baseline: what a global allocation ranks the filters of; None while it is not trained: an untrained one.
        sensitivity: None without a map, or while it is not measured.
    """
    preset = config.space.resolve()
    ranking: Ranking = {}
    if "global" in preset.allocation:
        ranking = rank_filters(preset, baseline.network() if baseline else _untrained(config), groups)
    return Space(
        groups,
        preset,
        config.finetune.epochs,
        config.finetune.learning_rate,
        ranking,
        sensitivity=sensitivity.ranks() if sensitivity else {},
        highest=sensitivity.highest(config.sensitivity.keep) if sensitivity else {},
    )


def build_costs(config: SweepConfig, groups: Groups, baseline: Baseline | None = None) -> CostModel:
    """The counted costs of whatever the space proposes.

    Args:
        config: of the sweep.
        groups: of the dense network.
        baseline: None while it is not trained; its scales and its whitening are left out then.
    """
    if baseline is not None:
        return cost_model(baseline, groups)
    size = config.trial_settings.data.image_size
    untrained = _untrained(config)
    delivered = drop_training_head_(copy.deepcopy(untrained))
    return CostModel.of(untrained, groups, example_image(size), delivered=delivered, probe_NCHW=tracing_image(size))


def check_search(config: SweepConfig, space: Space, costs: CostModel) -> None:
    """Refuse, before anything trains, what no search could do.

    Raises:
        ValueError: the sampler does not suit the space, the budget ends before the first trial, the limits exclude
            every network, or there are more brackets than rungs.
    """
    check_sampler(config.search.sampler, space)
    config.search.budget.check_longest(space.longest_trial)
    check_reachable(space, costs.metrics, config.limits)
    build_halving(config, space, Path())


def build_halving(config: SweepConfig, space: Space, storage: Path) -> SuccessiveHalving | None:
    """The rungs of the sweep, kept in its folder; None when no trial ends early."""
    chosen = config.scheduler
    if chosen.name == "none":
        return None
    return SuccessiveHalving(
        storage / "rungs.jsonl",
        epochs=space.longest_trial,
        grace=chosen.grace,
        reduction=chosen.reduction,
        brackets=chosen.brackets,
        signs=[METRICS[key].sign for key in config.search.objectives],
    )


def build_searcher(
    config: SweepConfig,
    storage: Path,
    space: Space,
    costs: CostModel,
    sensitivity: SensitivityMap | None,
    *,
    concurrent: int,
    warm: Sequence[Point] = (),
    rungs: SuccessiveHalving | None = None,
    dense: Mapping[str, float] | None = None,
) -> StudySearcher:
    """What proposes the trials of the sweep; see `search.study.searcher.StudySearcher` for the arguments not named
    here.

    Args:
        config: of the sweep.
        storage: its folder, or another one for a rehearsal.
        space: see `build_space`.
        costs: see `build_costs`.
        sensitivity: as in `build_space`; it proposes first points.
        concurrent: how many trials may run at once.
        warm: points of a former sweep.
        rungs: see `build_halving`.
        dense: needed where the budget has a stop.
    """
    return StudySearcher(
        storage,
        space,
        objectives=config.search.objectives,
        budget=config.search.budget,
        concurrent=concurrent,
        sampler=config.search.sampler,
        seed=config.search.seed,
        max_failures=config.search.max_failures,
        costs=costs.metrics,
        limits=config.limits,
        first_points=mapped_points(space, sensitivity, costs.metrics, config.sensitivity.targets),
        warm=warm,
        was_stopped=rungs.stopped if rungs else never_stopped,
        dense=dense,
    )


def is_mapped(config: SweepConfig, groups: Groups) -> bool:
    """Whether the sweep measures a sensitivity map first."""
    return config.sensitivity.enabled and bool(groups_to_measure(config, groups))


def unmeasured(config: SweepConfig, groups: Groups) -> list[str]:
    """What a space without its sensitivity map does not show yet, in words."""
    if not is_mapped(config, groups):
        return []
    low, high = config.space.resolve().tilt
    tilt = f"the dimension tilt ({low:g} to {high:g}), " if high > low else ""
    return [f"a sweep measures the sensitivity of each group first: that adds {tilt}bounds of ratios, and first points"]


def mapped_points(
    space: Space, sensitivity: SensitivityMap | None, costs: Costs, targets: Sequence[float]
) -> list[Point]:
    """What the sensitivity map proposes to try first: for each target, the groups that give most for least.

    Methods take turns, after the one that climbs the ladder: none of them knows yet which one suits the network.
    """
    if sensitivity is None:
        return []
    methods = [name for name in space.preset.methods if get_method(name).removes_channels]

    def macs(ratios: Mapping[str, float]) -> float:
        schedule = Schedule(
            method="l1",
            ratios=dict(ratios),
            epochs=1,
            learning_rate=1.0,
            round_to=space.preset.round_to,
            open_descriptor=space.preset.descriptor == "open",
        )
        return costs(schedule)["macs"]

    found = sensitivity.greedy(macs, targets)
    turns = itertools.islice(itertools.cycle(methods), 1, None)
    return [project(space, ratios, method).params for ratios, method in zip(found, turns, strict=False)]


def _untrained(config: SweepConfig) -> Any:
    settings = config.trial_settings
    network = settings.network.model_copy(update={"weights": None})
    return build_dense(network, len(open_data(settings.data).train.classes)).eval()

"""The parts of a sweep, built from its configuration: groups, space, counted costs, successive halving, the searcher.

Space and costs are built once, before anything trains (`build_problem`). What the dense network's training and the
sensitivity map change afterwards is three fields of the space, which `measured_problem` replaces.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from pruning.graph.groups import PrunableGroup
from pruning.methods.registry import get_method
from pruning.predicted_cost import CostModel
from pruning.schedule import Schedule
from search.config import SweepConfig
from search.context import SearchProblem, SweepContext
from search.early_checks import check_before_training
from search.halving.successive_halving import SuccessiveHalving
from search.sensitivity import groups_to_measure
from search.study.constraints import check_reachable
from search.study.ehvi.goal import Goal
from search.study.initial_points import Point
from search.study.samplers import EHVI, check_sampler
from search.study.search_spec import Costs, SearchSpec, stops_no_trial
from search.study.searcher import StudySearcher
from spaces.preset import Preset
from spaces.space import Space, rank_filters
from spaces.space_transfer import project
from tracking.record import METRICS
from tracking.reference import reference_point
from tracking.sensitivity import SensitivityMap
from trainables.baseline import Baseline, build_dense, dense_groups
from trainables.data import open_data
from trainables.pruned_shape import untrained_cost_model

Groups = tuple[PrunableGroup, ...]


def build_groups(config: SweepConfig) -> Groups:
    """Return the groups of the dense network, which need not be trained.

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


def check_trainable(config: SweepConfig) -> Groups:
    """Return the groups of the dense network; refuse what no training, trial or measurement could go through with.

    Raises:
        ValueError: the network cannot be pruned as the file says, or data and settings do not suit each other.
    """
    groups = build_groups(config)
    check_before_training(config, _untrained(config), groups)
    return groups


def build_problem(config: SweepConfig) -> SearchProblem:
    """Build the space and the costs of a sweep, and refuse, before anything trains, what no search could do.

    Raises:
        ValueError: the network cannot be pruned as the file says, data and settings do not suit each other
            (`search.early_checks`), the sampler does not suit the space, the budget ends
            before the first trial, the limits exclude every network, there are more brackets than rungs, or the
            reference excludes the dense network.
    """
    groups = build_groups(config)
    network = _untrained(config)
    check_before_training(config, network, groups)
    problem = SearchProblem(build_space(config, groups, network), build_costs(config, groups, network))
    check_sampler(config.search.chosen_sampler, problem.space)
    config.search.budget.check_longest(problem.space.longest_trial)
    check_reachable(problem.space, problem.costs.metrics, config.limits)
    check_reference(config, problem, {})
    build_halving(config, problem.space, Path())
    return problem


def check_reference(config: SweepConfig, problem: SearchProblem, dense: Mapping[str, float]) -> None:
    """Refuse a reference that excludes the dense network, by what is known of that: at first its counted costs alone.

    Args:
        config: of the sweep.
        problem: of the sweep.
        dense: the dense network's metrics; empty while it is not trained.

    Raises:
        ValueError: names the objective, the reference and the dense network's value.
    """
    goal = Goal(problem.space, problem.costs.metrics, config.search.objectives)
    known = {**goal.uncut_metrics, **dense}
    reference_point([key for key in config.search.objectives if key in known], known, config.search.reference)


def lines_of_search(config: SweepConfig, problem: SearchProblem, first_points: int) -> list[str]:
    """Return, as lines for a person, what the sampler cannot know of its objectives, or has no trials left to learn.

    Args:
        config: of the sweep.
        problem: of the sweep.
        first_points: how many trials are tried before the sampler proposes anything.
    """
    search = config.search
    if search.chosen_sampler != EHVI:
        return []
    counted = Goal(problem.space, problem.costs.metrics, search.objectives).uncut_counted
    measured = [key for key in search.objectives[1:] if key not in counted]
    lines = [f"{key} is measured, not counted: the sampler models it beside {search.objectives[0]}" for key in measured]
    if search.trials is not None and search.trials <= first_points:
        lines.append(
            f"search.trials is {search.trials}, and {first_points} points are tried before the sampler learns from "
            "them: more trials are right"
        )
    return lines


def build_space(config: SweepConfig, groups: Groups, network: nn.Module | None = None) -> Space:
    """Return the space of the sweep as it is before anything is measured.

    Args:
        config: of the sweep.
        groups: of the dense network.
        network: the network whose filters a global allocation ranks, trained or not; None builds an untrained one
            where it is needed.
    """
    space = Space(groups, config.space.resolve(), config.finetune.epochs, config.finetune.learning_rate)
    if not _ranks_filters(space.preset):
        return space
    return _ranked(space, network or _untrained(config))


def build_costs(config: SweepConfig, groups: Groups, network: nn.Module) -> CostModel:
    """Return the counted costs of whatever the space proposes.

    They follow from shapes alone, and an untrained network has the shapes of the trained one, its scales and its
    whitening included. So they are final before the dense network is trained.

    Args:
        config: of the sweep.
        groups: of the dense network.
        network: the dense network, trained or not.
    """
    return untrained_cost_model(network, groups, config.trial_settings)


def measured_problem(
    config: SweepConfig, problem: SearchProblem, baseline: Baseline | None, sensitivity: SensitivityMap | None
) -> SearchProblem:
    """Return the problem with what was measured since it was built; the same one where nothing was.

    The map gives the space a tilt and upper bounds of ratios, the trained weights another ranking of the filters.
    Everything else stays, the costs too: they do not depend on weights.

    Args:
        config: of the sweep.
        problem: as `build_problem` gave it.
        baseline: the dense network; None while it is not trained.
        sensitivity: the map; None without one, or while it is not measured.

    Raises:
        ValueError: the limits exclude every network that is left.
    """
    space = problem.space
    if sensitivity is not None:
        highest = sensitivity.highest(config.sensitivity.keep)
        space = replace(space, sensitivity=sensitivity.ranks(), highest=highest)
    if baseline is not None and _ranks_filters(space.preset):
        space = _ranked(space, baseline.network())
    if space is problem.space:
        return problem
    check_reachable(space, problem.costs.metrics, config.limits)
    return replace(problem, space=space)


def build_halving(config: SweepConfig, space: Space, storage: Path) -> SuccessiveHalving | None:
    """Return the successive halving of the sweep, kept in its folder; None when no trial ends early."""
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


def build_searcher(context: SweepContext, halving: SuccessiveHalving | None = None) -> StudySearcher:
    """Return what proposes the trials of the sweep.

    Args:
        context: of the sweep.
        halving: see `build_halving`; the searcher asks it which trials it has stopped.
    """
    config, problem = context.config, context.problem
    costs = problem.costs.metrics
    mapped = mapped_points(problem.space, context.sensitivity, costs, config.sensitivity.targets)
    return StudySearcher(
        SearchSpec(
            storage=context.storage,
            space=problem.space,
            costs=costs,
            objectives=config.search.objectives,
            budget=config.search.budget,
            concurrent=context.slots,
            sampler=config.search.chosen_sampler,
            seed=config.search.seed,
            max_failures=config.search.max_failures,
            limits=config.limits,
            first_points=(*context.warm, *mapped),
            was_stopped=halving.stopped if halving else stops_no_trial,
            dense=context.dense,
            reference=config.search.reference,
        )
    )


def measures_a_map(config: SweepConfig, space: Space) -> bool:
    """Return whether the sweep measures a sensitivity map before it searches."""
    return config.sensitivity.enabled and bool(groups_to_measure(space))


def lines_without_a_map(config: SweepConfig, space: Space) -> list[str]:
    """Return, as lines for a person, what the sensitivity map will add to a space; none where none is measured."""
    if not measures_a_map(config, space):
        return []
    low, high = space.preset.tilt
    tilt = f"the dimension tilt ({low:g} to {high:g}), " if high > low else ""
    return [f"a sweep measures the sensitivity of each group first: that adds {tilt}bounds of ratios, and first points"]


def mapped_points(
    space: Space, sensitivity: SensitivityMap | None, costs: Costs, targets: Sequence[float]
) -> list[Point]:
    """Return the points that the sensitivity map proposes to try first: for each target, the cheapest ratios.

    Methods take turns, starting after the one that climbs the space's ladder: nothing is known yet about which method
    suits the network.

    Args:
        space: with the map's ranks and bounds.
        sensitivity: the map; None gives no points.
        costs: the counted costs of a schedule.
        targets: divisors of the dense network's multiply-adds.
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

    ratios_by_target = sensitivity.greedy(macs, targets)
    turns = itertools.islice(itertools.cycle(methods), 1, None)
    return [project(space, ratios, method).params for ratios, method in zip(ratios_by_target, turns, strict=False)]


def _ranks_filters(preset: Preset) -> bool:
    return "global" in preset.allocation


def _ranked(space: Space, network: nn.Module) -> Space:
    return replace(space, ranking=rank_filters(space.preset, network, space.groups))


def _untrained(config: SweepConfig) -> nn.Module:
    """Build the dense network without loading or fetching weights."""
    settings = config.trial_settings
    network = settings.network.model_copy(update={"weights": None})
    return build_dense(network, len(open_data(settings.data).train.classes)).eval()

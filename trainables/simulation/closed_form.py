"""Networks given by formulas: exact costs, a hidden sensitivity per group, noise and learning curves, from a seed.

The load of a schedule is a mean over the groups of a hidden sensitivity times a damage that is convex in the ratio,
with small interactions between neighbouring groups; quality falls exponentially with the load. The more a network is
pruned, the lower its curve begins and the slower it rises, so an early epoch predicts the last one, but not exactly.

Two families are what a search meets in practice, and two are meant to be hard for a model of the quality: one is not
smooth, the other one is too noisy to tell neighbours apart.

Of a schedule only ratios, method and decay are read. Letters: G groups, R ratios of the sensitivity map, E epochs,
P pairs of groups.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from pruning.graph.groups import PrunableGroup
from pruning.methods.registry import get_method
from pruning.predicted_cost import kept_widths
from pruning.schedule import Schedule
from spaces.preset import load_preset
from spaces.space import Space
from tracking.record import EpochPoint
from tracking.sensitivity import CutPoint, GroupSensitivity, SensitivityMap, SensitivitySettings
from trainables.simulation.formula_network import build_groups, counted, resnet_layers

DENSE_MAP, FLOOR_MAP = 0.75, 0.02
EPOCHS, LEARNING_RATE = 9, 1e-3
_NOISE_MAP = 0.004  # of the last epoch: as between two seeds of the same trial
_LARGE_NOISE_MAP = 0.015  # more than most groups' loss when one alone is cut by an eighth more
_EARLY_NOISE_MAP = 0.02  # of an epoch before it, falling to nothing at the last
_SLOWNESS = 0.5  # how much trials differ in where their curve begins: standard deviation of a logarithm
_EPOCH_SECONDS = 10.0  # of the dense network
_OVERHEAD = 0.06  # share of the dense latency that no pruning takes away
_PROBE_RATIOS = (0.25, 0.5, 0.75)  # of the sensitivity map
_KEEP = SensitivitySettings().keep
# A cut without training loses more, by a factor that differs between groups.
_UNTRAINED_LOSS, _UNTRAINED_SPREAD, _PROBE_NOISE_MAP = 3.0, 0.4, 0.01

_LAYERS = resnet_layers()
_GROUPS = build_groups(_LAYERS)
_DENSE_WIDTHS = {group.id: group.width for group in _GROUPS}
_DENSE = counted(_LAYERS, _DENSE_WIDTHS)


@dataclass(frozen=True)
class ClosedForm(ABC):
    """One problem of a family.

    Attributes:
        seed: determines all that the problem hides.
        name: of the family.
        methods: that its space proposes.
        noise: standard deviation of the mAP after the last epoch, over schedules of equal quality.
    """

    seed: int

    name: ClassVar[str]
    methods: ClassVar[tuple[str, ...]]  # that its space proposes
    noise: ClassVar[float] = _NOISE_MAP

    @property
    def groups(self) -> tuple[PrunableGroup, ...]:
        """The groups of the network: twelve, at four resolutions."""
        return _GROUPS

    @property
    def epochs(self) -> int:
        """Epochs of every trial."""
        return EPOCHS

    def space(self, allocation: str = "group") -> Space:
        """Return the default space over these groups, with the sensitivity that a sweep would have measured."""
        preset = load_preset("filters", methods=list(self.methods), allocation=allocation)
        measured = self.measured_sensitivity()
        return Space(
            _GROUPS, preset, EPOCHS, LEARNING_RATE, sensitivity=measured.ranks(), highest=measured.highest(_KEEP)
        )

    def costs(self, schedule: Schedule) -> dict[str, float]:
        """Return counted costs, and a speedup: the latency is an overhead plus the time of the multiply-adds."""
        widths = kept_widths(_GROUPS, schedule)
        now = counted(_LAYERS, widths)
        return {
            **now,
            "mac_ratio": _DENSE["macs"] / now["macs"],
            "compression": _DENSE["size_bytes"] / now["size_bytes"],
            "speedup": self._speedup(widths),
        }

    def curve(self, schedule: Schedule) -> tuple[EpochPoint, ...]:
        """Return all epochs of a trial; the mAP of the last is its quality."""
        maps_E = self._maps(schedule)
        seconds = _EPOCH_SECONDS * self._trained_share(schedule)
        return tuple(
            EpochPoint(epoch=epoch, loss=float(-np.log(quality)), map=float(quality), seconds=seconds)
            for epoch, quality in enumerate(maps_E, start=1)
        )

    def expected_map(self, schedule: Schedule) -> float:
        """Return the quality after the last epoch, without noise."""
        return _map_at(self.load(schedule))

    def load(self, schedule: Schedule) -> float:
        """Return the load, 0 where nothing is removed; the quality is FLOOR + (DENSE − FLOOR) · exp(−load)."""
        ratios_G = _ratios(schedule)
        own_G = self._sensitivity * self._damage(ratios_G) * self._method_factors(schedule)
        return float(own_G.mean() + self._joint_damage(ratios_G))

    def true_sensitivity(self) -> SensitivityMap:
        """Return the map of each group cut alone and trained, without noise, which no sweep can measure."""
        return self._sensitivity_map(np.ones((len(_GROUPS), len(_PROBE_RATIOS))), 0.0)

    def measured_sensitivity(self) -> SensitivityMap:
        """Return the map as a sweep measures it: without training, and with the noise of a finite number of queries."""
        more_GR = _UNTRAINED_LOSS * self._rng(1).lognormal(0, _UNTRAINED_SPREAD, (len(_GROUPS), 1))
        return self._sensitivity_map(np.repeat(more_GR, len(_PROBE_RATIOS), axis=1), _PROBE_NOISE_MAP)

    @abstractmethod
    def _damage(self, ratios_G: np.ndarray) -> np.ndarray:
        """Return the damage of each ratio to a group of sensitivity 1: 0 at ratio 0, convex."""

    def _joint_damage(self, ratios_G: np.ndarray) -> float:
        """Return what groups lose because others are cut as well: 0 where one alone is."""
        squared_G = ratios_G**2
        return float((self._interaction[:-1] * squared_G[:-1] * squared_G[1:]).mean())

    def _method_factors(self, schedule: Schedule) -> np.ndarray:
        """Return the factor by which this method and decay multiply the damage of each group."""
        return np.ones(len(_GROUPS))

    def _trained_share(self, schedule: Schedule) -> float:
        """Return the time of an epoch as a share of the dense network's: less where the method cuts first."""
        if not get_method(schedule.method).cuts_first:
            return 1.0
        return 0.3 + 0.7 / self.costs(schedule)["mac_ratio"]

    def _maps(self, schedule: Schedule) -> np.ndarray:
        load, rng = self.load(schedule), self._rng(2, int(schedule.identity, 16))
        final = max(FLOOR_MAP, _map_at(load) + rng.normal(0, self.noise))
        lost = (0.2 + load) * rng.lognormal(0, _SLOWNESS)
        begins = FLOOR_MAP + (final - FLOOR_MAP) * np.exp(-2 * lost)
        epochs_E = np.arange(1, EPOCHS + 1)
        pace = 1.0 + 2.0 * (1 - np.exp(-load))  # epochs in which the distance to the end falls by e
        progress_E = (1 - np.exp(-epochs_E / pace)) / (1 - np.exp(-EPOCHS / pace))
        noise_E = rng.normal(0, _EARLY_NOISE_MAP, EPOCHS) * (1 - epochs_E / EPOCHS)
        return np.maximum(begins + (final - begins) * progress_E + noise_E, FLOOR_MAP)

    def _speedup(self, widths: dict[str, int]) -> float:
        times = [
            self._ms_per_mac[layer.resolution]
            * layer.positions
            * np.array([layer.weights(_DENSE_WIDTHS), layer.weights(widths)])
            for layer in _LAYERS
        ]
        dense_ms, now_ms = np.sum(times, axis=0)
        return float(1 / (_OVERHEAD + (1 - _OVERHEAD) * now_ms / dense_ms))

    def _sensitivity_map(self, more_GR: np.ndarray, noise: float) -> SensitivityMap:
        noise_GR = self._rng(6).normal(0, noise, more_GR.shape) if noise else np.zeros(more_GR.shape)
        points = (zip(*rows, strict=True) for rows in zip(more_GR, noise_GR, strict=True))
        return SensitivityMap(
            network="resnet18",
            method="l1",
            quality="map",
            dense=DENSE_MAP,
            dense_macs=int(_DENSE["macs"]),
            ratios=_PROBE_RATIOS,
            round_to=8,
            groups=tuple(self._probe(group, list(row)) for group, row in zip(_GROUPS, points, strict=True)),
        )

    def _probe(self, group: PrunableGroup, disturbances: list[tuple[float, float]]) -> GroupSensitivity:
        points = []
        for ratio, (more, noise) in zip(_PROBE_RATIOS, disturbances, strict=True):
            alone = _schedule({group.id: ratio})
            quality = _map_at(more * self.load(alone)) + noise
            saved = int(_DENSE["macs"] - self.costs(alone)["macs"])
            kept = kept_widths(_GROUPS, alone)[group.id]
            points.append(CutPoint(kept=kept, quality=max(quality, 0.0), macs_saved=saved))
        return GroupSensitivity(group=group.id, width=group.width, points=tuple(points))

    @cached_property
    def _sensitivity(self) -> np.ndarray:
        drawn_G = self._rng(3).lognormal(0, 0.8, len(_GROUPS))
        return drawn_G / drawn_G.mean()

    @cached_property
    def _interaction(self) -> np.ndarray:
        """Strength of the interaction of each group with the next one."""
        return self._rng(4).uniform(0, 0.2, len(_GROUPS))

    @cached_property
    def _ms_per_mac(self) -> np.ndarray:
        """Time of a multiply-add at each resolution: large and small feature maps differ in it."""
        return self._rng(5).lognormal(0, 0.3, 4)

    def _rng(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *purpose])


@dataclass(frozen=True)
class Smooth(ClosedForm):
    """A family in which every channel costs quality, the more the fewer are left; it has one method."""

    name: ClassVar[str] = "smooth"
    methods: ClassVar[tuple[str, ...]] = ("l1",)

    def _damage(self, ratios_G: np.ndarray) -> np.ndarray:
        return 0.3 * ratios_G**2 / (1.25 - ratios_G)


@dataclass(frozen=True)
class Knees(ClosedForm):
    """A family in which each group can lose a share of its channels for free, and loses quality fast beyond it.

    Methods differ by resolution, in an order that the seed draws; plfp has a best decay, which has a small effect.
    """

    name: ClassVar[str] = "knees"
    methods: ClassVar[tuple[str, ...]] = ("plfp", "l1", "fpgm")

    def _damage(self, ratios_G: np.ndarray) -> np.ndarray:
        return 2.0 * (self._beyond(ratios_G) - self._beyond(np.zeros_like(ratios_G)))

    def _beyond(self, ratios_G: np.ndarray) -> np.ndarray:
        """Return how far a ratio lies beyond the knee, smoothed, to the power of 3/2."""
        blur = 0.08
        return (blur * np.logaddexp(0, (ratios_G - self._knee) / blur)) ** 1.5

    def _method_factors(self, schedule: Schedule) -> np.ndarray:
        if schedule.method not in self.methods:
            return np.ones(len(_GROUPS))
        resolutions_G = [group.resolution for group in _GROUPS]
        factors_G = self._method_by_resolution[self.methods.index(schedule.method)][resolutions_G]
        if schedule.decay is None:
            return factors_G
        return factors_G * (1 + 0.5 * (schedule.decay - self._best_decay) ** 2)

    @cached_property
    def _knee(self) -> np.ndarray:
        return self._rng(7).uniform(0.1, 0.6, len(_GROUPS))

    @cached_property
    def _method_by_resolution(self) -> np.ndarray:
        return self._rng(8).lognormal(0, 0.2, (len(self.methods), 4))

    @cached_property
    def _best_decay(self) -> float:
        return float(self._rng(9).uniform(0, 0.6))


@dataclass(frozen=True)
class Interactions(ClosedForm):
    """A family of cliffs: groups that must not be cut together, and a method that is best in a corner alone.

    The groups form six pairs, which the seed draws. A pair loses much at once where both of its groups are cut beyond
    its edge, and nothing where one of them is spared. One of the methods, drawn too, is by far the best where the first
    groups of two pairs are cut more than their partners; everywhere else it is the worst.
    """

    name: ClassVar[str] = "interactions"
    methods: ClassVar[tuple[str, ...]] = ("plfp", "l1", "fpgm")

    height: ClassVar[float] = 0.1  # load of a cliff: half of what costs 0.2 of the dense quality
    slope: ClassVar[float] = 0.05  # ratio from the edge to the full height: less than a step of the narrowest group
    lead: ClassVar[float] = 0.1  # by so much more the corner's first groups are cut than their partners, at least
    inside: ClassVar[float] = 0.4  # factor of the corner's method there
    outside: ClassVar[float] = 1.3  # its factor everywhere else

    @property
    def corner_method(self) -> str:
        """The method that wins in the corner alone."""
        return self.methods[int(self._rng(10).integers(len(self.methods)))]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The groups that must not be cut together; the first two pairs make the corner."""
        return tuple((_GROUPS[one].id, _GROUPS[other].id) for one, other in self._pairs_P2)

    def in_corner(self, schedule: Schedule) -> bool:
        """Return whether these ratios are those where the corner's method wins, whatever the schedule's method."""
        cut_2, spared_2 = _ratios(schedule)[self._pairs_P2[:2]].T
        return bool((cut_2 - spared_2 >= self.lead).all())

    def _damage(self, ratios_G: np.ndarray) -> np.ndarray:
        return 0.3 * ratios_G**2 / (1.25 - ratios_G)

    def _joint_damage(self, ratios_G: np.ndarray) -> float:
        """Return the height of the cliffs that lie behind."""
        beyond_P = ratios_G[self._pairs_P2].min(axis=1) - self._edges_P
        return float(self.height * np.clip(beyond_P / self.slope, 0, 1).sum())

    def _method_factors(self, schedule: Schedule) -> np.ndarray:
        if schedule.method != self.corner_method:
            return np.ones(len(_GROUPS))
        return np.full(len(_GROUPS), self.inside if self.in_corner(schedule) else self.outside)

    @cached_property
    def _pairs_P2(self) -> np.ndarray:  # noqa: N802
        """Pairs of indices; of each the less sensitive group first, so that the corner is worth going to."""
        drawn_P2 = self._rng(11).permutation(len(_GROUPS)).reshape(-1, 2)
        return np.take_along_axis(drawn_P2, np.argsort(self._sensitivity[drawn_P2], axis=1), axis=1)

    @cached_property
    def _edges_P(self) -> np.ndarray:  # noqa: N802
        return self._rng(12).uniform(0.15, 0.4, len(_GROUPS) // 2)


@dataclass(frozen=True)
class Noisy(Knees):
    """The networks of `Knees`, whose trials scatter by as much as neighbouring schedules differ."""

    name: ClassVar[str] = "noisy"
    noise: ClassVar[float] = _LARGE_NOISE_MAP


FAMILIES: dict[str, type[ClosedForm]] = {family.name: family for family in (Smooth, Knees, Interactions, Noisy)}
"""The families by name."""


def closed_form(family: str, seed: int) -> ClosedForm:
    """Return one problem.

    Args:
        family: a key of `FAMILIES`.
        seed: determines all that the problem hides.

    Raises:
        ValueError: the family is unknown; names the known ones.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown family {family!r}; known are {', '.join(FAMILIES)}")
    return FAMILIES[family](seed)


def _ratios(schedule: Schedule) -> np.ndarray:
    """Return the ratio of each group, as its whole channels allow."""
    widths = kept_widths(_GROUPS, schedule)
    return np.array([1 - widths[group.id] / group.width for group in _GROUPS])


def _map_at(load: float) -> float:
    return float(FLOOR_MAP + (DENSE_MAP - FLOOR_MAP) * np.exp(-load))


def _schedule(ratios: dict[str, float]) -> Schedule:
    return Schedule(method="l1", ratios=ratios, epochs=EPOCHS, learning_rate=LEARNING_RATE)

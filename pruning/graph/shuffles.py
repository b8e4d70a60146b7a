"""Refusal of networks that put channels into another order, which the dependency graph cannot follow."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

_CHANNELS = 1  # the axis of N×C and N×C×H×W
_aten = torch.ops.aten


@contextmanager
def shuffles_refused(network: nn.Module) -> Iterator[None]:
    """Refuse, for as long as the context lasts, a network that puts channels into another order as it runs.

    The error names the module and the operation. Detected are channel shuffles and pixel shuffles, also those
    written out as reshapes around a transposition, and flips, rolls and indexing along the channels.
    """
    running = [""]
    hooks = []
    for name, module in network.named_modules():
        hooks.append(module.register_forward_pre_hook(_entering(running, name)))
        hooks.append(module.register_forward_hook(_leaving(running)))
    try:
        with _Watch(type(network).__name__, running):
            yield
    finally:
        for hook in hooks:
            hook.remove()


class _Watch(TorchDispatchMode):
    """A torch dispatch mode that checks every operation before it runs."""

    def __init__(self, network: str, running: Sequence[str]) -> None:
        super().__init__()
        self._network = network
        self._running = running

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # Constants, which need no gradient, hold no channels.
        if operation in _REORDERS and args[0].requires_grad and _REORDERS[operation](*args):
            where = f"{self._running[-1]!r}" if self._running[-1] else "it"
            raise ValueError(
                f"the channels of {self._network} cannot be traced: {where} puts them into another order ({operation})"
            )
        return operation(*args, **(kwargs or {}))


def _entering(running: list[str], name: str) -> Callable[[nn.Module, Any], None]:
    return lambda module, inputs: running.append(name)


def _leaving(running: list[str]) -> Callable[[nn.Module, Any, Any], None]:
    def leave(module: nn.Module, inputs: Any, outputs: Any) -> None:
        running.pop()  # returned, it would replace the module's output

    return leave


def _always(*_: Any) -> bool:
    return True


def _swaps(x: Tensor, first: int, second: int) -> bool:
    axes = list(range(x.dim()))
    axes[first], axes[second] = axes[second], axes[first]
    return _permutes(x, axes)


def _permutes(x: Tensor, axes: Sequence[int]) -> bool:
    """Return whether the channels are split over the axes from 1 on (five or more axes), and these are permuted."""
    return x.dim() > 4 and [axis % x.dim() for axis in axes[1:3]] != [1, 2]


def _along_channels(x: Tensor, axes: Sequence[int]) -> bool:
    return _CHANNELS in [axis % x.dim() for axis in axes]


def _selects(x: Tensor, axis: int, *_: Any) -> bool:
    return _along_channels(x, [axis])


def _rolls(x: Tensor, shifts: Sequence[int], axes: Sequence[int] = ()) -> bool:
    return _along_channels(x, axes)


def _indexes(x: Tensor, indices: Sequence[Tensor | None]) -> bool:
    return len(indices) > _CHANNELS and indices[_CHANNELS] is not None


_REORDERS: dict[Any, Callable[..., bool]] = {
    _aten.channel_shuffle.default: _always,
    _aten.native_channel_shuffle.default: _always,
    _aten.pixel_shuffle.default: _always,
    _aten.pixel_unshuffle.default: _always,
    _aten.transpose.int: _swaps,
    _aten.permute.default: _permutes,
    _aten.flip.default: _along_channels,
    _aten.roll.default: _rolls,
    _aten.index_select.default: _selects,
    _aten.index.Tensor: _indexes,
}

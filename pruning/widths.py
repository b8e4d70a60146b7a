"""How many channels stay: the paper's count, aligned to widths that run fast."""

from math import floor

_ROUNDING = 1e-9  # 0.29 · 100 is 28.999999999999996 in binary; the paper's floor means 29
_ALMOST_ALL = 1 - 1e-6


def kept_count(width: int, ratio: float, round_to: int) -> int:
    """Return how many of `width` channels stay at a ratio: width − floor(ratio · width), aligned.

    Aligned to the nearest multiple of `round_to`, ties up, at least one multiple, never above `width`. Ratio
    0 keeps all. A width below `round_to` has no multiple to go to and stays unaligned, at least 1.

    Raises:
        ValueError: `width` or `round_to` is below 1 or `ratio` is outside [0, 1).
    """
    if width < 1 or round_to < 1:
        raise ValueError(f"width and round_to must be at least 1, got {width} and {round_to}")
    if not 0 <= ratio < 1:
        raise ValueError(f"ratio is {ratio}; it must be in [0, 1)")
    asked = max(1, width - floor(ratio * width + _ROUNDING))
    if ratio == 0 or width < round_to:
        return asked
    multiples = (2 * asked + round_to) // (2 * round_to)
    return min(width, max(1, multiples) * round_to)


def can_narrow(width: int, round_to: int) -> bool:
    """Return whether any ratio below 1 takes a channel from a group of that width."""
    return kept_count(width, _ALMOST_ALL, round_to) < width

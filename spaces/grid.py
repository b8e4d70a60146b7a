"""The ratios that a group can really have: one for each width that it may be cut to."""

from bisect import bisect_left

from pruning.widths import kept_count


def on_grid(width: int, ratio: float, round_to: int, highest: float = 1.0) -> float:
    """Return the share of `width` channels that goes when `ratio` is asked for: removed / width, after alignment.

    Equal widths give equal ratios, and a ratio from here comes to the same width again. Where alignment would remove
    more than the share `highest`, one multiple more is kept.

    Raises:
        ValueError: as `pruning.widths.kept_count` does.
    """
    kept = kept_count(width, min(ratio, highest), round_to)
    if (width - kept) / width > highest:
        kept = min(width, kept + round_to)
    return (width - kept) / width


def ratios_of(width: int, kept: int, round_to: int) -> tuple[float, float]:
    """Return the half-open range [first, second) of the ratios that keep `kept` of `width` channels.

    `kept` must be a width that `kept_count` gives.
    """

    def fewer(removed: int) -> int:
        return -kept_count(width, removed / width, round_to)

    removals = range(width)
    first = bisect_left(removals, -kept, key=fewer)
    beyond = bisect_left(removals, -kept + 1, key=fewer)
    return first / width, beyond / width

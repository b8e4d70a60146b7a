import pytest

from pruning.widths import can_narrow, kept_count


@pytest.mark.parametrize(
    ("width", "ratio", "round_to", "kept"),
    [
        (64, 0.0, 8, 64),
        (64, 0.5, 8, 32),
        (64, 0.3, 8, 48),  # 64 − 19 = 45, nearer to 48 than to 40
        (64, 0.32, 8, 48),  # 64 − 20 = 44, halfway: up
        (64, 0.33, 8, 40),  # 64 − 21 = 43
        (64, 0.99, 8, 8),  # at least one multiple
        (64, 0.02, 8, 64),
        (20, 0.0, 8, 20),
        (20, 0.05, 8, 16),  # 20 − 1 = 19, nearer to 16 than to 24
        (23, 0.05, 8, 23),  # 22, nearest 24: never above the width
        (100, 0.29, 1, 71),  # 0.29 · 100 is 28.999… in binary
        (4, 0.5, 8, 2),  # no multiple of 8 to go to
        (1, 0.9, 8, 1),
        (64, 0.5, 1, 32),
    ],
)
def test_kept_counts_are_the_papers_aligned(width: int, ratio: float, round_to: int, kept: int) -> None:
    assert kept_count(width, ratio, round_to) == kept


@pytest.mark.parametrize(
    ("width", "ratio", "round_to", "complaint"),
    [
        (64, 1.0, 8, r"ratio is 1\.0"),
        (64, -0.1, 8, r"ratio is -0\.1"),
        (64, float("nan"), 8, "ratio is nan"),
        (0, 0.5, 8, "got 0 and 8"),
        (64, 0.5, 0, "got 64 and 0"),
    ],
)
def test_a_kept_count_of_nonsense_is_refused(width: int, ratio: float, round_to: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        kept_count(width, ratio, round_to)


@pytest.mark.parametrize(("width", "round_to", "narrows"), [(1, 8, False), (2, 8, True), (8, 8, False), (9, 8, True)])
def test_only_a_group_that_can_lose_a_channel_can_narrow(width: int, round_to: int, narrows: bool) -> None:
    assert can_narrow(width, round_to) is narrows
    assert narrows is any(kept_count(width, step / 100, round_to) < width for step in range(100))

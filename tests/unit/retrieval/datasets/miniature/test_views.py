from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from retrieval.datasets.miniature.facades import draw_house, sample_house, sample_street
from retrieval.datasets.miniature.views import enclosing_box, photograph, project, sample_corners

SIZE = 64


def _house(street: int, house: int) -> Image.Image:
    style = sample_street(np.random.default_rng([1, street]))
    return draw_house(sample_house(style, np.random.default_rng([2, street, house])), SIZE)


def _view(front: Image.Image, difficulty: float, seed: int) -> np.ndarray:
    return np.asarray(photograph(front, difficulty, np.random.default_rng(seed), SIZE)[0], dtype=float)


def _solid() -> Image.Image:
    return Image.new("RGBA", (SIZE, SIZE), (255, 0, 0, 255))


def _mean_over(seeds: range, measure: Callable[[int], float]) -> float:
    return float(np.mean([measure(seed) for seed in seeds]))


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_the_box_encloses_the_front_and_nothing_more(difficulty: float) -> None:
    for seed in range(20):
        corners = sample_corners(difficulty, np.random.default_rng(seed), SIZE)
        rows, columns = np.nonzero(np.asarray(project(_solid(), corners, SIZE))[..., 3] > 127)
        seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        # Within two pixels: a corner's tip may cover less than half of the last ones.
        np.testing.assert_allclose(enclosing_box(corners, SIZE), seen, atol=2.0)


def test_the_box_of_a_view_stays_in_the_image_and_is_worth_asking_with() -> None:
    for seed in range(50):
        view, (x1, y1, x2, y2) = photograph(_solid(), 1.0, np.random.default_rng(seed), SIZE)
        assert view.size == (SIZE, SIZE)
        assert 0 <= x1 < x2 <= SIZE
        assert 0 <= y1 < y2 <= SIZE
        assert min(x2 - x1, y2 - y1) > SIZE / 5


def test_corners_land_where_they_are_sent() -> None:
    front = Image.new("RGBA", (SIZE, SIZE), (0, 0, 255, 255))
    front.paste((255, 0, 0, 255), (0, 0, SIZE // 2, SIZE // 2))
    corners = np.array([(60.0, 4.0), (60.0, 60.0), (4.0, 60.0), (4.0, 4.0)])  # a quarter turn
    view = project(front, corners, SIZE)
    assert view.getpixel((50, 14)) == (255, 0, 0, 255)
    assert view.getpixel((14, 14)) == (0, 0, 255, 255)
    assert view.getpixel((1, 1))[3] == 0


def test_a_harder_view_differs_more_from_the_plain_one() -> None:
    front = _house(0, 0)

    def difference(difficulty: float) -> float:
        return _mean_over(range(40), lambda seed: np.abs(_view(front, difficulty, seed) - _view(front, 0, seed)).mean())

    easy, middling, hard = difference(0.1), difference(0.5), difference(0.95)
    assert easy < 0.8 * middling
    assert middling < 0.9 * hard


def test_difficulty_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"difficulty is 1\.5; it must be in \[0, 1\]"):
        photograph(_solid(), 1.5, np.random.default_rng(0), SIZE)


def test_a_house_is_opaque_below_the_roof_and_clear_above_it() -> None:
    alpha_HW = np.asarray(_house(3, 1))[..., 3]
    assert alpha_HW[SIZE // 2 : -1, 3:-3].min() == 255
    assert alpha_HW[0, 0] == 0


def test_houses_of_a_street_share_its_colours_and_differ_in_their_pixels() -> None:
    streets, pairs = range(30), ((0, 1), (0, 2), (1, 2))
    fronts = {(s, h): np.asarray(_house(s, h).convert("RGB"), dtype=float) for s in streets for h in range(3)}
    colours = {address: front_HWC.mean(axis=(0, 1)) for address, front_HWC in fronts.items()}
    within = [np.abs(colours[s, a] - colours[s, b]).mean() for s in streets for a, b in pairs]
    across = [np.abs(colours[s, 0] - colours[s - 1, 0]).mean() for s in streets[1:]]
    assert np.mean(within) < 0.8 * np.mean(across)
    assert min(np.abs(fronts[s, a] - fronts[s, b]).mean() for s in streets for a, b in pairs) > 5


def test_the_same_draws_give_the_same_view() -> None:
    front = _house(0, 0)
    assert np.array_equal(_view(front, 0.7, seed=5), _view(front, 0.7, seed=5))
    assert not np.array_equal(_view(front, 0.7, seed=5), _view(front, 0.7, seed=6))

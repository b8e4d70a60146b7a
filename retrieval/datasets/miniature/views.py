"""Photographing a drawn house front: where the camera stands, what is in the way, what the light does."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from retrieval.datasets.base import Box

Corners = NDArray[np.float64]
"""4 × 2, in pixels of the image: where the top left, top right, bottom right and bottom left corner land."""

# The most that difficulty 1 does; a view of difficulty d does up to d times as much. Chosen so that a network of one
# million parameters goes from a mAP below 0.1 untrained to between 0.6 and 0.8 in ten epochs: room to lose and to gain.
_MAX_SHIFT = 0.15  # of the image's side
_MAX_LOG_SCALE = 0.3
_MAX_ROTATION_RAD = 0.2
_MAX_SKEW = 0.12  # of the front's side, each corner on its own
_MAX_LOG_GAIN = 0.3
_MAX_LOG_CAST = 0.1  # each colour channel on its own
_MAX_SLOPE = 0.4  # light falling off across the image
_MAX_BLUR = 0.018  # of the image's side
_MAX_NOISE = 0.07
_MAX_OCCLUDERS = 3
_USUAL_SCALE = 0.8


def photograph(front: Image.Image, difficulty: float, rng: np.random.Generator, size: int) -> tuple[Image.Image, Box]:
    """Take one view of a house front.

    `front` is RGBA, transparent around the house; `difficulty` in [0, 1] bounds every disturbance at once, so
    that it alone says how hard the view is. Returns the RGB view, `size` × `size`, and the box that encloses
    the front in it, clipped to the image.
    """
    if not 0 <= difficulty <= 1:
        raise ValueError(f"difficulty is {difficulty}; it must be in [0, 1]")
    corners = sample_corners(difficulty, rng, size)
    view = _backdrop(rng, size)
    view.alpha_composite(project(front, corners, size))
    _draw_occluders(view, difficulty, rng)
    blur = float(rng.uniform(0, _MAX_BLUR) * difficulty * size)
    blurred = view.convert("RGB").filter(ImageFilter.GaussianBlur(blur))
    return _expose(blurred, difficulty, rng), enclosing_box(corners, size)


def sample_corners(difficulty: float, rng: np.random.Generator, size: int) -> Corners:
    """Return where the corners of the front land: scaled, skewed, turned and shifted about the image's middle."""
    square = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    square = square + rng.uniform(-_MAX_SKEW, _MAX_SKEW, size=(4, 2)) * difficulty
    angle = rng.uniform(-_MAX_ROTATION_RAD, _MAX_ROTATION_RAD) * difficulty
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    scale = _USUAL_SCALE * np.exp(rng.uniform(-_MAX_LOG_SCALE, _MAX_LOG_SCALE) * difficulty)
    shift = rng.uniform(-_MAX_SHIFT, _MAX_SHIFT, size=2) * difficulty
    return np.asarray((square @ turn * scale + 0.5 + shift) * size)


def enclosing_box(corners: Corners, size: int) -> Box:
    """Return the smallest upright box around the corners, clipped to an image of `size` × `size` pixels."""
    x1, y1 = np.clip(corners.min(axis=0), 0, size)
    x2, y2 = np.clip(corners.max(axis=0), 0, size)
    return float(x1), float(y1), float(x2), float(y2)


def project(front: Image.Image, corners: Corners, size: int) -> Image.Image:
    """Return the front as seen when its corners land on `corners`: RGBA, `size` × `size`, transparent around it."""
    width, height = front.size
    canvas = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64)
    # Pillow asks where on the canvas to look for each pixel of the view, so the map goes from view to canvas.
    return front.transform(
        (size, size), Image.Transform.PERSPECTIVE, _homography(corners, canvas), Image.Resampling.BICUBIC
    )


def _homography(source: Corners, target: Corners) -> tuple[float, ...]:
    """Return a to h of x' = (ax + by + c) / (gx + hy + 1), y' = (dx + ey + f) / (gx + hy + 1)."""
    equations = np.zeros((8, 8))
    for row, ((x, y), (u, v)) in enumerate(zip(source, target, strict=True)):
        equations[2 * row] = (x, y, 1, 0, 0, 0, -u * x, -u * y)
        equations[2 * row + 1] = (0, 0, 0, x, y, 1, -v * x, -v * y)
    return tuple(float(value) for value in np.linalg.solve(equations, target.reshape(8)))


def _backdrop(rng: np.random.Generator, size: int) -> Image.Image:
    """Draw sky, ground and neighbours anew for each view: they must say nothing about the place."""
    sky, ground = _pale(rng), _grey(rng)
    image = Image.new("RGBA", (size, size), sky)
    draw = ImageDraw.Draw(image)
    for _ in range(3):
        x, top = rng.uniform(-0.2, 0.9) * size, rng.uniform(0.2, 0.6) * size
        draw.rectangle((x, top, x + rng.uniform(0.2, 0.5) * size, size), fill=_grey(rng))
    draw.rectangle((0, rng.uniform(0.8, 0.95) * size, size, size), fill=ground)
    return image


def _draw_occluders(image: Image.Image, difficulty: float, rng: np.random.Generator) -> None:
    draw, size = ImageDraw.Draw(image), image.width
    for _ in range(int(rng.integers(0, round(_MAX_OCCLUDERS * difficulty) + 1))):
        x = rng.uniform(0, 1) * size
        kind = rng.integers(3)
        if kind == 0:  # a tree
            radius, top = rng.uniform(0.07, 0.16) * size, rng.uniform(0.3, 0.65) * size
            green = (int(rng.integers(20, 80)), int(rng.integers(70, 130)), int(rng.integers(20, 60)))
            draw.rectangle((x - 0.015 * size, top, x + 0.015 * size, size), fill=(70, 50, 35))
            draw.ellipse((x - radius, top - radius, x + radius, top + radius), fill=green)
        elif kind == 1:  # a lamp post
            draw.rectangle((x, rng.uniform(0.1, 0.4) * size, x + 0.03 * size, size), fill=(40, 40, 45))
        else:  # a van
            width, height = rng.uniform(0.2, 0.4) * size, rng.uniform(0.12, 0.25) * size
            draw.rectangle((x - width / 2, size - height, x + width / 2, 0.97 * size), fill=_grey(rng))


def _expose(image: Image.Image, difficulty: float, rng: np.random.Generator) -> Image.Image:
    """Apply brightness, a colour cast, light that falls off to one side, and noise."""
    pixels_HWC = np.asarray(image, dtype=np.float32) / 255
    size = image.width
    gain = np.exp(rng.uniform(-_MAX_LOG_GAIN, _MAX_LOG_GAIN) * difficulty)
    cast_C = np.exp(rng.uniform(-_MAX_LOG_CAST, _MAX_LOG_CAST, size=3) * difficulty)
    slope_x, slope_y = rng.uniform(-_MAX_SLOPE, _MAX_SLOPE, size=2) * difficulty
    ramp = np.linspace(-0.5, 0.5, size)
    light_HW1 = (1 + slope_x * ramp[None, :] + slope_y * ramp[:, None])[..., None]
    noise_HWC = rng.standard_normal(pixels_HWC.shape, dtype=np.float32) * (rng.uniform(0, _MAX_NOISE) * difficulty)
    exposed_HWC = pixels_HWC * (gain * cast_C * light_HW1) + noise_HWC
    return Image.fromarray((exposed_HWC.clip(0, 1) * 255).round().astype(np.uint8))


def _pale(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers((140, 160, 180), 256))
    return red, green, blue


def _grey(rng: np.random.Generator) -> tuple[int, int, int]:
    level = int(rng.integers(60, 190))
    red, green, blue = (int(np.clip(level + value, 0, 255)) for value in rng.integers(-25, 26, size=3))
    return red, green, blue

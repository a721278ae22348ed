"""Generated scenes with exact masks, for examples, tests and demonstrations without any data.

A pixel belongs to the topmost object that holds its centre; in the image the object's edge is
smoothed by the share of the pixel that it covers. Objects overlap, and each keeps a good part of
its area visible. Scene `i` depends on the seed and on `i` alone, so that a longer series begins
with the shorter one.
"""

from collections.abc import Callable
from colorsys import hsv_to_rgb
from dataclasses import dataclass

import numpy as np

from maskr.arrays import mask_to_r
from maskr.errors import DataError, ShapeError
from maskr.instances import Instances, encode_labels

CLASSES = {
    "shapes": {"background": 0, "circle": 1, "rectangle": 2, "triangle": 3},
    "nuclei": {"background": 0, "nucleus": 1},
}
"""Class names and ids of each kind of scene."""

SMALLEST = 32
"""Least height and width, in pixels: below it there is no room for objects."""

HUES = {1: 0.03, 2: 0.36, 3: 0.64}
"""Typical hue of each class of "shapes"; single objects stray from it."""

Gauge = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""An outline around the origin: of offsets `(y, x)` in pixels, at most 1 inside, above 1 outside,
and growing in proportion along each ray."""


@dataclass
class Scene:
    """One generated image and its truth.

    Attributes
    ----------
    image
        uint8 `[H, W, C]`: RGB for "shapes", one grey channel for "nuclei".
    mask
        int32 `[H, W]`, class ids as in `CLASSES`.
    labels
        int32 `[H, W]`, the visible part of each object: 0 background, 1..n objects, later ones
        lie on top.
    class_ids
        int32 `[n]`, class id of the objects 1..n.
    """

    image: np.ndarray
    mask: np.ndarray
    labels: np.ndarray
    class_ids: np.ndarray


def generate(name: str, n: int, height: int, width: int, seed: int) -> list[Scene]:
    """Generate `n` scenes of `height` x `width` pixels.

    Parameters
    ----------
    name
        "shapes": coloured circles, rectangles and triangles on a textured ground, with noise.
        "nuclei": a fluorescence micrograph: touching ellipses, blur, uneven light, noise.
    n
        Number of scenes, at least 1.
    height, width
        In pixels, at least 32.
    seed
        Whole number from 0 up.

    Raises
    ------
    DataError
        If there is no such kind of scene.
    ShapeError
        If the images would be too small to hold objects.
    """
    if name not in CLASSES:
        known = " or ".join(f'"{kind}"' for kind in CLASSES)
        raise DataError(f'There are no scenes named "{name}".', f"Use {known}.", "name")
    if min(height, width) < SMALLEST:
        raise ShapeError(
            f"Scenes must be at least {SMALLEST} x {SMALLEST} pixels, not {height} x {width}.",
            argument="size",
        )
    draw = {"shapes": _shapes, "nuclei": _nuclei}[name]
    return [draw(height, width, np.random.default_rng((seed, i))) for i in range(n)]


def example(name: str, n: int, height: int, width: int, seed: int) -> dict:
    """Scenes for R; arguments and errors as `generate()`.

    Returns
    -------
    dict
        `images` (float64 `[H, W, C]`, 0..1), `masks` (int32 `[H, W]`) and `instances` (columns of
        R's data frame), lists of length `n`; `classes`, ids by name.
    """
    scenes = generate(name, n, height, width, seed)
    return {
        "images": [np.asfortranarray(scene.image) / 255 for scene in scenes],
        "masks": [mask_to_r(scene.mask) for scene in scenes],
        "instances": [instances(scene).to_r() for scene in scenes],
        "classes": CLASSES[name],
    }


def instances(scene: Scene) -> Instances:
    """Encode the visible parts of a scene's objects, in the order of their labels."""
    return Instances.from_rles(encode_labels(scene.labels), scene.labels.shape, scene.class_ids)


class _Canvas:
    """Objects laid on one another, from an empty ground upwards.

    Parameters
    ----------
    image
        float `[H, W, C]`, the ground; objects are painted into it.
    least
        Share of its area that every object keeps visible.
    """

    def __init__(self, image: np.ndarray, least: float) -> None:
        self.image = image
        self.labels = np.zeros(image.shape[:2], np.int32)
        self.class_ids: list[int] = []
        self._areas = np.zeros(0, int)
        self._visible = np.zeros(0, int)
        self._least = least

    def add(
        self,
        gauge: Gauge,
        at: tuple[float, float],
        reach: float,
        class_id: int,
        paint: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    ) -> bool:
        """Lays an object on top, unless it is tiny or would hide too much of one below it.

        Parameters
        ----------
        gauge
            The outline, around `at`.
        at
            Row and column of its centre, in pixels.
        reach
            No part of it is farther from the centre, in pixels.
        paint
            Its colour `[h, w, C]`, given offsets and gauge at the pixels' centres.
        """
        window, y, x = self._around(at, reach)
        values = gauge(y, x)
        inside = values <= 1
        labels = self.labels[window]
        area = np.count_nonzero(inside)
        visible = self._visible - np.bincount(labels[inside], minlength=len(self._areas) + 1)[1:]
        if area < 12 or (visible < self._least * self._areas).any():
            return False
        cover = np.mean(
            [gauge(y + dy, x + dx) <= 1 for dy in (-1 / 3, 0, 1 / 3) for dx in (-1 / 3, 0, 1 / 3)],
            axis=0,
        )[..., None]
        self.image[window] += cover * (paint(y, x, values) - self.image[window])
        self._areas = np.append(self._areas, area)
        self._visible = np.append(visible, area)
        self.class_ids.append(class_id)
        labels[inside] = len(self._areas)
        return True

    def scene(self, image: np.ndarray) -> Scene:
        """Pair an image (float, 0..1) made from this canvas with the canvas's truth."""
        class_ids = np.array(self.class_ids, np.int32)
        mask = np.concatenate((np.zeros(1, np.int32), class_ids))[self.labels]
        image = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
        return Scene(image, mask, self.labels, class_ids)

    def _around(
        self, at: tuple[float, float], reach: float
    ) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
        """Cut out what is within reach: the window, and its pixels' offsets from the centre."""
        window = tuple(
            slice(*np.clip((int(centre - reach) - 1, int(centre + reach) + 3), 0, side))
            for centre, side in zip(at, self.labels.shape, strict=True)
        )
        rows, columns = (
            np.arange(part.start, part.stop) - centre
            for part, centre in zip(window, at, strict=True)
        )
        y, x = np.meshgrid(rows, columns, indexing="ij")
        return window, y, x


def _shapes(height: int, width: int, rng: np.random.Generator) -> Scene:
    """Circles, rectangles and triangles, each class around a hue of its own."""
    side = min(height, width)
    ground = rng.uniform(0.3, 0.7) + rng.uniform(-0.08, 0.08, 3)
    texture = 0.05 * _smooth_noise((height, width), 1.5, rng)
    texture += 0.08 * _smooth_noise((height, width), side / 8, rng)
    canvas = _Canvas(ground + texture[..., None], least=0.4)
    wanted = rng.integers(4, 9)
    for _ in range(5 * wanted):
        radius = side * rng.uniform(0.1, 0.2)
        class_id = int(rng.integers(1, 4))
        canvas.add(
            gauge=_shape(class_id, radius, rng),
            at=tuple(rng.uniform(radius / 2, size - radius / 2) for size in (height, width)),
            reach=radius,
            class_id=class_id,
            paint=_shaded(class_id, radius, rng),
        )
        if len(canvas.class_ids) == wanted:
            break
    noise = rng.normal(0, rng.uniform(0.01, 0.04), (height, width, 3))
    return canvas.scene(canvas.image + noise)


def _shape(class_id: int, radius: float, rng: np.random.Generator) -> Gauge:
    """Outline of one object of "shapes", turned at random, its corners at `radius` pixels."""
    turn = rng.uniform(0, 2 * np.pi)
    if class_id == CLASSES["shapes"]["circle"]:
        return lambda y, x: np.hypot(y, x) / radius
    if class_id == CLASSES["shapes"]["rectangle"]:
        half = rng.uniform(0.4, np.pi / 4)
        corners = np.array((-half, half, np.pi - half, np.pi + half))
    else:
        corners = np.array((0, 2 / 3, 4 / 3)) * np.pi + rng.uniform(-0.25, 0.25, 3)
    return _polygon(radius, turn + corners)


def _polygon(radius: float, angles: np.ndarray) -> Gauge:
    """Convex polygon with corners at rising `angles` (less than half a turn apart)."""
    ends = np.roll(angles, -1)
    # Each edge lies at right angles to the direction halfway between its corners.
    middle = angles + (ends - angles) % (2 * np.pi) / 2
    distance = radius * np.cos(middle - angles)

    def gauge(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        along = y[..., None] * np.sin(middle) + x[..., None] * np.cos(middle)
        return (along / distance).max(axis=-1)

    return gauge


def _shaded(class_id: int, radius: float, rng: np.random.Generator) -> Callable:
    """One colour near the class's hue, lighter towards one side."""
    hue = (HUES[class_id] + rng.normal(0, 0.05)) % 1
    colour = np.array(hsv_to_rgb(hue, rng.uniform(0.5, 0.95), rng.uniform(0.45, 0.95)))
    slope = rng.normal(0, 0.12, 2) / radius
    return lambda y, x, values: colour * (1 + slope[0] * y + slope[1] * x)[..., None]


def _nuclei(height: int, width: int, rng: np.random.Generator) -> Scene:
    """Bright ellipses on a dark ground, seen through a microscope."""
    usual = rng.uniform(5, 9)
    canvas = _Canvas(np.zeros((height, width, 1)), least=0.75)
    wanted = max(3, round(rng.uniform(0.1, 0.3) * height * width / (np.pi * usual**2)))
    chromatin = 1 + 0.15 * _smooth_noise((height, width), 1.2, rng)
    placed: list[tuple[float, float, float]] = []
    for _ in range(3 * wanted):
        radius = usual * rng.uniform(0.75, 1.3)
        at = (rng.uniform(0, height - 1), rng.uniform(0, width - 1))
        if placed and rng.random() < 0.5:
            at = _beside(placed[rng.integers(len(placed))], radius, rng)
        gauge = _nucleus(radius, rng)
        brightness = rng.uniform(0.35, 0.95)
        added = canvas.add(
            gauge=gauge,
            at=at,
            reach=1.6 * radius,
            class_id=CLASSES["nuclei"]["nucleus"],
            paint=lambda y, x, values, light=brightness: (light * (1 - 0.3 * values**2))[..., None],
        )
        if added:
            placed.append((*at, radius))
        if len(placed) == wanted:
            break
    return canvas.scene(_microscope(canvas.image[..., 0] * chromatin, rng)[..., None])


def _beside(
    other: tuple[float, float, float], radius: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Centre of a nucleus that touches another one, given as row, column and radius."""
    y, x, other_radius = other
    away = (other_radius + radius) * rng.uniform(0.85, 1.0)
    turn = rng.uniform(0, 2 * np.pi)
    return y + away * np.sin(turn), x + away * np.cos(turn)


def _nucleus(radius: float, rng: np.random.Generator) -> Gauge:
    """Outline an ellipse, slightly uneven, of the area of a circle of `radius` pixels."""
    turn = rng.uniform(0, 2 * np.pi)
    stretch = np.sqrt(rng.uniform(1, 1.6))
    waves = np.arange(2, 5)
    heights, phases = rng.normal(0, 0.03, 3), rng.uniform(0, 2 * np.pi, 3)

    def gauge(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        u = (x * np.cos(turn) + y * np.sin(turn)) / (radius * stretch)
        v = (y * np.cos(turn) - x * np.sin(turn)) / (radius / stretch)
        outline = 1 + np.cos(np.arctan2(v, u)[..., None] * waves + phases) @ heights
        return np.hypot(u, v) / outline

    return gauge


def _microscope(light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light in the specimen `[H, W]` as a camera sees it: haze, blur, uneven light, noise."""
    from scipy.ndimage import gaussian_filter

    height, width = light.shape
    haze = rng.uniform(0.05, 0.2) * gaussian_filter(light, 8)
    seen = gaussian_filter(light, rng.uniform(0.6, 1.4)) + haze + rng.uniform(0.02, 0.08)
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    centre = rng.uniform(-0.6, 0.6, 2)
    seen = seen * (1 - rng.uniform(0.1, 0.25) * ((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / 2)
    photons = rng.uniform(60, 250)
    return rng.poisson(seen * photons) / photons + rng.normal(0, 0.01, light.shape)


def _smooth_noise(shape: tuple[int, int], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of mean 0 and standard deviation 1 whose blobs are about `sigma` pixels wide."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.normal(size=shape), sigma, mode="reflect")
    return (noise - noise.mean()) / noise.std()

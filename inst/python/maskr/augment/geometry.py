"""Steps that move pixels: the image bilinearly, mask and objects by the nearest pixel.

Coordinates are OpenCV's: pixel centres are whole numbers, so that both kinds of interpolation agree
on where a pixel is. Pixels that come from outside of the image repeat its edge and are marked as
HIDDEN, so that no later step lets black bleed in.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from maskr.augment.draws import Range, pick, pick_log, pick_start, pick_whole
from maskr.augment.sample import HIDDEN, Sample
from maskr.datasets.resize import by_channels, scale_image, scale_labels

Move = Callable[[np.ndarray, int, int, float], np.ndarray]
"""Warps `[H, W]` or `[H, W, C]`, given interpolation, kind of border and the border's value."""


def random_crop(sample: Sample, rng: np.random.Generator, size: Range) -> Sample:
    """Cut out a window of (H, W) pixels; an image that is smaller stays whole in that direction."""
    inner = [min(int(want), have) for want, have in zip(size, sample.size, strict=True)]
    return cut(sample, rng, inner)


def resized_crop(sample: Sample, rng: np.random.Generator, scale: Range, ratio: Range) -> Sample:
    """Cut out a window and enlarge it to the image's size.

    `scale` is the window's share of the area, `ratio` what its width over its height is multiplied
    by.
    """
    height, width = sample.size
    side, aspect = pick(rng, scale) ** 0.5, pick_log(rng, ratio) ** 0.5
    inner = [min(height, round(height * side / aspect)), min(width, round(width * side * aspect))]
    window = cut(sample, rng, [max(1, n) for n in inner])
    labels = np.stack([scale_labels(plane, sample.size) for plane in window.labels])
    return replace(sample, image=scale_image(window.image, sample.size), labels=labels)


def cut(sample: Sample, rng: np.random.Generator, size: list[int]) -> Sample:
    """Cut a window of `size`, which fits into the image, at a random place."""
    top, left = (pick_start(rng, n - inner) for n, inner in zip(sample.size, size, strict=True))
    window = np.s_[:, top : top + size[0], left : left + size[1]]
    return replace(sample, image=sample.image[window], labels=sample.labels[window])


def flip_horizontal(sample: Sample, rng: np.random.Generator) -> Sample:
    """Swap left and right."""
    return replace(sample, image=sample.image[..., ::-1], labels=sample.labels[..., ::-1])


def flip_vertical(sample: Sample, rng: np.random.Generator) -> Sample:
    """Swap top and bottom."""
    return replace(sample, image=sample.image[..., ::-1, :], labels=sample.labels[..., ::-1, :])


def rot90(sample: Sample, rng: np.random.Generator) -> Sample:
    """Turn by 90, 180 or 270 degrees."""
    turns = pick_whole(rng, (1, 3))
    turn = partial(np.rot90, k=turns, axes=(-2, -1))
    return replace(sample, image=turn(sample.image), labels=turn(sample.labels))


def rotate(sample: Sample, rng: np.random.Generator, degrees: Range) -> Sample:
    """Turn about the centre, counter-clockwise."""
    return warp_affine(sample, affine_matrix(sample.size, pick(rng, degrees)))


def affine(
    sample: Sample,
    rng: np.random.Generator,
    degrees: Range,
    translate: Range,
    scale: Range,
    shear: Range,
) -> Sample:
    """Turn, shift, scale and shear about the centre.

    `translate` is a share of the height and of the width, drawn for each; `shear` is in degrees.
    """
    height, width = sample.size
    angle, factor, slant = pick(rng, degrees), pick_log(rng, scale), pick(rng, shear)
    shift = (pick(rng, translate) * width, pick(rng, translate) * height)
    return warp_affine(sample, affine_matrix(sample.size, angle, shift, factor, slant))


def affine_matrix(
    size: tuple[int, ...],
    degrees: float,
    shift: tuple[float, float] = (0.0, 0.0),
    scale: float = 1.0,
    shear: float = 0.0,
) -> np.ndarray:
    """The matrix `[2, 3]` from old to new x and y; shift in pixels, x first."""
    angle = np.deg2rad(degrees)
    # y points down, so this turns counter-clockwise
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.array([[1.0, np.tan(np.deg2rad(shear))], [0.0, 1.0]])
    centre = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    return np.column_stack((linear, centre + shift - linear @ centre))


def perspective(sample: Sample, rng: np.random.Generator, distortion: Range) -> Sample:
    """Draw each corner towards the centre, by a share of half the height and width."""
    height, width = sample.size
    corners = np.float32([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]])
    share = np.array([[pick(rng, distortion) for _ in range(2)] for _ in corners])
    moved_to = corners + share * (np.array([width - 1, height - 1]) / 2 - corners)
    matrix = cv2.getPerspectiveTransform(corners, moved_to.astype(np.float32))

    def move(plane: np.ndarray, how: int, border: int, value: float) -> np.ndarray:
        return cv2.warpPerspective(
            plane, matrix, (width, height), flags=how, borderMode=border, borderValue=value
        )

    return warped(sample, move)


def elastic(
    sample: Sample, rng: np.random.Generator, displacement: Range, spacing: Range
) -> Sample:
    """Shift pixels by a smooth random field.

    As in Ronneberger et al. 2015 (https://arxiv.org/abs/1505.04597): shifts with a standard
    deviation of `displacement` pixels on a coarse grid, `spacing` pixels wide, and bicubic between.
    """
    size, sd, step = sample.size, pick(rng, displacement), pick(rng, spacing)
    coarse = [max(2, round(n / step) + 1) for n in size]
    field = rng.standard_normal((2, *coarse), dtype=np.float32) * np.float32(sd)
    dy, dx = (cv2.resize(one, size[::-1], interpolation=cv2.INTER_CUBIC) for one in field)
    return remapped(sample, dy + np.arange(size[0])[:, None], dx + np.arange(size[1])[None, :])


def grid_distortion(
    sample: Sample, rng: np.random.Generator, cells: Range, distortion: Range
) -> Sample:
    """Stretch and squeeze the rows and columns of a grid of cells.

    Each gets a width of its own, up to the share `distortion` narrower or wider than the others.
    """
    n, strength = pick_whole(rng, cells), pick(rng, distortion)
    y, x = (stretched(rng, length, n, strength) for length in sample.size)
    return remapped(sample, *np.broadcast_arrays(y[:, None], x[None, :]))


def stretched(rng: np.random.Generator, length: int, cells: int, strength: float) -> np.ndarray:
    """Where each of `length` pixels comes from when the cells' widths change; ends stay."""
    widths = 1 + strength * rng.uniform(-1, 1, cells)
    edges = np.append(0, widths.cumsum()) / widths.sum()
    return np.interp(np.linspace(0, 1, length), edges, np.linspace(0, 1, cells + 1)) * (length - 1)


def warp_affine(sample: Sample, matrix: np.ndarray) -> Sample:
    """Warp by a matrix `[2, 3]` from old to new x and y."""

    def move(plane: np.ndarray, how: int, border: int, value: float) -> np.ndarray:
        return cv2.warpAffine(
            plane, matrix, sample.size[::-1], flags=how, borderMode=border, borderValue=value
        )

    return warped(sample, move)


def remapped(sample: Sample, y: np.ndarray, x: np.ndarray) -> Sample:
    """Warp by telling where each pixel comes from."""
    maps = [np.ascontiguousarray(one, dtype=np.float32) for one in (x, y)]

    def move(plane: np.ndarray, how: int, border: int, value: float) -> np.ndarray:
        return cv2.remap(plane, *maps, how, borderMode=border, borderValue=value)

    return warped(sample, move)


def warped(sample: Sample, move: Move) -> Sample:
    """Warp image and labels alike."""
    planes = [
        move(
            np.ascontiguousarray(plane), cv2.INTER_NEAREST, cv2.BORDER_CONSTANT, 0 if n else HIDDEN
        )
        for n, plane in enumerate(sample.labels)
    ]
    image = by_channels(
        sample.image, lambda part: move(part, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE, 0.0)
    )
    return replace(sample, image=image, labels=np.stack(planes))

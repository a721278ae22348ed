"""A picture of sample predictions after each epoch: image, truth and prediction side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import keras
import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from maskr import inference
from maskr.arrays import IGNORE
from maskr.datasets.loader import Loader
from maskr.datasets.samples import class_indices, class_lookup, read_image
from maskr.datasets.spec import DataSpec
from maskr.errors import ShapeError
from maskr.files import atomically
from maskr.preprocess import Preprocess
from maskr.spec import Spec
from maskr.training.checkpoint import make_folder
from maskr.units import Window, unwindowed

CELL = 300
"""Pixels of the longer side of an image in the picture."""
GAP = 8
ALPHA = 0.5


@dataclass(frozen=True)
class Sample:
    """An image to be predicted.

    Attributes
    ----------
    image
        float32 `[C, H, W]`.
    truth
        Class indices `[H, W]`, or None.
    """

    image: np.ndarray
    truth: np.ndarray | None


@dataclass(frozen=True)
class Key:
    """How classes are drawn.

    Attributes
    ----------
    names, colours
        Of each class, in the order of the model's; colours as "#RRGGBB".
    clear
        Whether the image shines through undimmed: for a background.
    ignored
        Colour of pixels that don't count.
    """

    names: Sequence[str]
    colours: Sequence[str]
    clear: Sequence[bool]
    ignored: str


class Pictures(keras.callbacks.Callback):
    """Writes `epoch-001.png` and so on into a folder.

    Parameters
    ----------
    listeners
        Each is called with the epoch, from 0, and its picture, uint8 `[H, W, 3]`.
    images
        Sources as `inference.predict()` takes them, or the fields of a `DataSpec`.
    folder
        Made if it isn't there.
    n
        How many images are drawn, from the first on.
    key
        The fields of `Key`.
    show
        Called with the path of each new picture; None shows nothing.
    """

    def __init__(
        self,
        listeners: Sequence[Callable[[int, np.ndarray], None]],
        images: Sequence | dict,
        folder: str,
        n: int,
        key: dict,
        show: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self.listeners = listeners
        self.images = images
        self.n = n
        self.samples: list[Sample] = []
        self.folder = make_folder(folder)
        self.key = Key(**key)
        self.show = show

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Read the images, in the model's window."""
        read = labelled if isinstance(self.images, dict) else unlabelled
        self.samples = read(self.images, self.n, self.model.spec.preprocess.window)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Predict, draw, write and show."""
        window = self.model.spec.preprocess.window
        shown = [np.moveaxis(sample.image, 0, -1) for sample in self.samples]
        sources = [unwindowed(image, window) for image in shown]
        found = inference.predict(self.model, sources, precision=self.model.precision)["results"]
        rows = [
            [sample.image, sample.truth, indices_of(ids, self.model.spec.class_ids)]
            for sample, ids in zip(self.samples, found, strict=True)
        ]
        picture = draw(rows, self.key, f"epoch {epoch + 1}")
        path = str(self.folder / f"epoch-{epoch + 1:03d}.png")
        atomically(path, Image.fromarray(picture).save)
        for listener in self.listeners:
            listener(epoch, picture)
        if self.show is not None:
            self.show(path)


def labelled(fields: dict, n: int, window: Window | None) -> list[Sample]:
    """The first samples of a dataset, at its size and without augmentation."""
    data = DataSpec.from_r({**fields, "augment": None})
    spec = Spec("none", in_channels=None, preprocess=Preprocess(window=window))
    with Loader(data, spec) as loader:
        pairs = [loader.sample(i)[:2] for i in range(min(n, len(data.images)))]
    return [flat(Sample(image, truth)) for image, truth in pairs]


def unlabelled(sources: Sequence, n: int, window: Window | None) -> list[Sample]:
    """The first of some images."""
    return [flat(Sample(read_image(source, window), None)) for source in sources[:n]]


def flat(sample: Sample) -> Sample:
    """The sample, which must not be a volume."""
    if sample.image.ndim == 4:
        raise ShapeError("Pictures are drawn of images, and this is a volume.", argument="images")
    return sample


def indices_of(ids: np.ndarray, class_ids: Sequence[int]) -> np.ndarray:
    """Class ids as class indices."""
    return class_indices(ids, class_lookup(class_ids), "prediction")


def draw(rows: Sequence[Sequence], key: Key, title: str) -> np.ndarray:
    """One row of pictures for each image under a heading, the classes below: uint8 `[H, W, 3]`."""
    strips = [row_of_cells(*row, key) for row in rows]
    width = max(strip.shape[1] for strip in strips)
    labels = ["image", "truth", "prediction"] if rows[0][1] is not None else ["image", "prediction"]
    parts = [heading([*labels], title, strips[0].shape[1], width)]
    for strip in strips:
        parts += [blank(GAP, width), widened(strip, width)]
    has_ignored = any(truth is not None and (truth == IGNORE).any() for _, truth, _ in rows)
    return np.vstack([*parts, blank(GAP, width), legend(listed(key, has_ignored), width)])


def row_of_cells(
    image: np.ndarray, truth: np.ndarray | None, prediction: np.ndarray, key: Key
) -> np.ndarray:
    """Image, truth (if there is one) and prediction, `CELL` pixels wide or high."""
    height, width = image.shape[1:]
    scale = CELL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrinking = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    under = cv2.resize(as_rgb(image), size, interpolation=shrinking)
    cells = [under]
    for indices in (truth, prediction):
        if indices is not None:
            small = cv2.resize(
                indices.astype(np.int16), size, interpolation=cv2.INTER_NEAREST_EXACT
            )
            cells.append(overlay(under, small, key))
    gap = np.full((size[1], GAP, 3), 255, np.uint8)
    return np.hstack([part for cell in cells for part in (gap, cell)] + [gap])


def as_rgb(image: np.ndarray) -> np.ndarray:
    """`[C, H, W]` as uint8 `[H, W, 3]`: 0..1 from black to white, or what an image uses of it."""
    low, high = np.quantile(image, (0.001, 0.999))
    if image.min() >= 0 and image.max() <= 1 and high - low >= 0.3:
        low, high = 0.0, 1.0
    scaled = (image - low) / max(high - low, 1e-9)
    channels = scaled[[0, 1, 2] if len(image) >= 3 else [0, 0, 0]]
    return np.round(255 * np.clip(channels.transpose(1, 2, 0), 0, 1)).astype(np.uint8)


def overlay(under: np.ndarray, indices: np.ndarray, key: Key) -> np.ndarray:
    """An RGB image with the classes' colours over it, their outlines opaque."""
    colours = np.array([ImageColor.getrgb(c) for c in (*key.colours, key.ignored)], np.float32)
    weights = np.array([*(0 if clear else ALPHA for clear in key.clear), ALPHA], np.float32)
    indices = np.where(indices == IGNORE, len(key.colours), indices)
    weight = weights[indices]
    weight[outlines(indices) & (weight > 0)] = 1
    mixed = under + weight[..., None] * (colours[indices] - under)
    return np.round(mixed).astype(np.uint8)


def outlines(indices: np.ndarray) -> np.ndarray:
    """Pixels whose right or lower, left or upper neighbour is of another class."""
    labels = indices.astype(np.int16)
    square = np.ones((3, 3), np.uint8)
    return cv2.dilate(labels, square) != cv2.erode(labels, square)


def heading(labels: Sequence[str], title: str, inner: int, width: int) -> np.ndarray:
    """The columns' names over the cells, the title at the right."""
    canvas = Image.fromarray(blank(26, width))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(15)
    step = (inner - GAP) / len(labels)
    for i, label in enumerate(labels):
        pen.text((GAP + i * step, 5), label, "black", font)
    pen.text((width - GAP - pen.textlength(title, font), 5), title, "grey", font)
    return np.asarray(canvas)


def listed(key: Key, has_ignored: bool) -> list[tuple[str, str]]:
    """Names and colours of what is drawn over images."""
    classes = zip(key.names, key.colours, key.clear, strict=True)
    shown = [(name, colour) for name, colour, clear in classes if not clear]
    return [*shown, ("ignore", key.ignored)] if has_ignored else shown


def legend(classes: Sequence[tuple[str, str]], width: int) -> np.ndarray:
    """A box of its colour and the name of each class, in as many lines as it takes."""
    font = ImageFont.load_default(14)
    at, line, placed = GAP, 0, []
    for name, colour in classes:
        needed = 20 + font.getlength(name) + 14
        if at + needed > width and at > GAP:
            at, line = GAP, line + 1
        placed.append((at, 20 * line, name, colour))
        at += needed
    canvas = Image.fromarray(blank(20 * (line + 1) + GAP, width))
    pen = ImageDraw.Draw(canvas)
    for x, y, name, colour in placed:
        pen.rectangle((x, y + 3, x + 13, y + 16), colour, "grey")
        pen.text((x + 20, y + 1), name, "black", font)
    return np.asarray(canvas)


def blank(height: int, width: int) -> np.ndarray:
    """A white strip."""
    return np.full((height, width, 3), 255, np.uint8)


def widened(strip: np.ndarray, width: int) -> np.ndarray:
    """A strip with white at its right, up to the width."""
    return np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), constant_values=255)

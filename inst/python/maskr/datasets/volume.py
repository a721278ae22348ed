"""Parts of volumes as samples: slices `[H, W]` and boxes `[D, H, W]`.

A part crosses the border as a dict, so that a dataset holds no voxels:

- `volume`: the path of a volume, or those of several scans of the same grid (channels);
- `box`: d, h, w, D, H, W: where it begins, from 0, and its size in voxels;
- `axis`: the axis (0, 1, 2) that a slice leaves out, or -1;
- `window`, of images: the two values that become 0 and 1;
- `ignored`, of labels: the values of the file that mean "ignore";
- `numbers`, of labels that number objects: the ids `class` and `background` that they become.

What can be read in part (uncompressed NIfTI, single files of a stack) is; other volumes are read
whole, and the last ones are kept up to `BUDGET` bytes, so that slices in a row cost one reading.
"""

import functools
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from maskr import images, masks, tiff, volumes
from maskr.arrays import IGNORE
from maskr.case_names import TRUTH, Case
from maskr.cases import find_cases, is_picture, natural
from maskr.datasets import truth_slices
from maskr.errors import FormatError, unreadable
from maskr.units import Window, windowed
from maskr.volumes import Volume, stem

BUDGET = 2**30


class Kept:
    """The volumes that were used last, up to a number of bytes; the very last one always."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.items: OrderedDict[tuple, Future] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, key: tuple, read: Callable[[], np.ndarray]) -> np.ndarray:
        """Give what is kept, or read it; threads that want the same wait for one reading."""
        with self.lock:
            future = self.items.get(key)
            is_mine = future is None
            if is_mine:
                future = self.items[key] = Future()
            self.items.move_to_end(key)
        if is_mine:
            try:
                future.set_result(read())
            except BaseException as error:
                with self.lock:
                    del self.items[key]
                future.set_exception(error)
            self._shrink()
        return future.result()

    def _shrink(self) -> None:
        with self.lock:
            sizes = {k: f.result().nbytes for k, f in self.items.items() if f.done()}
            total = sum(sizes.values())
            for key in list(sizes)[:-1]:
                if total <= self.budget:
                    break
                total -= sizes[key]
                del self.items[key]


KEPT = Kept(BUDGET)


def load_whole(path: str, window: Window | None = None) -> tuple[np.ndarray, dict]:
    """Read a volume as float32 `[C, D, H, W]`, with `spacing` and `affine` of its file or None.

    Numbers are divided as `images.load()` does, or windowed, and NaN is what is missing.

    Raises
    ------
    FormatError
        If the file is damaged or no volume.
    DataError
        If it holds infinite values.
    """
    found = opened(path, as_labels=False)
    box = [0, 0, 0, *found.shape[:3]]
    return load_image({"volume": path, "box": box, "axis": -1}, window), found.geometry()


def load_image(part: dict, window: Window | None = None) -> np.ndarray:
    """Read a part of a volume as float32 `[C, H, W]`, or `[C, D, H, W]` of a box; NaN is missing.

    A `window` counts before the part's own.

    Raises
    ------
    DataError
        If it holds infinite values.
    """
    paths = [part["volume"]] if isinstance(part["volume"], str) else part["volume"]
    box = slices_of(part)
    window = window or part.get("window")
    image = np.concatenate([scaled(path, box, window) for path in paths], axis=-1)
    image = np.moveaxis(image, -1, 0)
    images.check_infinite(image, Path(paths[0]).name)
    if part["axis"] >= 0:
        image = image.take(0, axis=part["axis"] + 1)
    return np.ascontiguousarray(image)


def load_ids(part: dict, values: Sequence[int] | None) -> np.ndarray:
    """Read class ids, int32 `[H, W]` or `[D, H, W]` with IGNORE, of a part of a label volume."""
    stored = read_part(part["volume"], slices_of(part), as_labels=True)[..., 0]
    void = set(part["ignored"])
    if part.get("numbers") is not None:
        ids = of_objects(stored, void, part["numbers"])
    else:
        values = None if values is None else list(values)
        ids = masks.replaced(stored.copy(), part["volume"], void, values)
    return ids.take(0, axis=part["axis"]) if part["axis"] >= 0 else ids


def of_objects(stored: np.ndarray, void: set[int], numbers: dict) -> np.ndarray:
    """Turn numbers of objects into the ids `class` and `background`, and those of `void` into
    IGNORE.
    """
    ids = np.where(stored > 0, int(numbers["class"]), int(numbers["background"]))
    ids[np.isin(stored, list(void))] = IGNORE
    return ids.astype(np.int32)


def slices_of(part: dict) -> tuple[slice, slice, slice]:
    """Make slices along D, H and W of a part's box."""
    box = [int(n) for n in part["box"]]
    return tuple(slice(box[a], box[a] + box[a + 3]) for a in range(3))


def scaled(
    path: str, box: tuple[slice, slice, slice], window: Sequence[float] | None
) -> np.ndarray:
    """Read a box `[d, h, w, C]` as float32, windowed, or divided as files are."""
    values = read_part(path, box, as_labels=False).astype(np.float32)
    if window is not None:
        return windowed(values, window)
    unit = opened(path, as_labels=False).unit
    return values / np.float32(unit) if unit != 1 else values


def read_part(path: str, box: tuple[slice, slice, slice], as_labels: bool) -> np.ndarray:
    """Read a box `[d, h, w, C]`; labels as int32, else the file's own numbers."""
    volume = opened(path, as_labels)
    one_page = box[0].stop - box[0].start == 1
    if volume.box is not None and (one_page or not volume.by_page):
        return plain(volume.box(box), path, as_labels)
    key = (path, changed(path), as_labels)
    return KEPT.get(key, lambda: plain(volume.whole(), path, as_labels))[box]


def plain(stored: np.ndarray, path: str, as_labels: bool) -> np.ndarray:
    """Give labels as int32 of one channel, and 64-bit floats as float32."""
    if as_labels:
        return masks.whole(masks.one_channel(stored, path), path)[..., None]
    return stored.astype(np.float32) if stored.dtype == np.float64 else stored


def opened(path: str, as_labels: bool) -> Volume:
    """Open a volume, or give it if it is open and unchanged."""
    return open_any(path, as_labels, changed(path))


def changed(path: str) -> int:
    """Find when a file or folder was changed last.

    Raises
    ------
    FormatError
        If it is not there any more.
    """
    try:
        return os.stat(path).st_mtime_ns
    except OSError as error:
        raise unreadable(path, error) from error


@functools.lru_cache(maxsize=1024)
def open_any(path: str, as_labels: bool, changed: int) -> Volume:
    """Open NIfTI, DICOM, a TIFF, or a folder of images as a volume `[D, H, W, C]`."""
    if Path(path).is_dir():
        files = natural(str(one) for one in Path(path).iterdir() if is_picture(one.name))
        if not files:
            return volumes.open_volume(path)
        unit = 1.0 if as_labels else images.open_picture(files[0]).unit
        return stack(path, len(files), lambda k: page_of(files[k], None, as_labels), unit)
    if as_labels and truth_slices.is_slice(path):
        return truth_slices.open_slices(path, lambda file: masks.decode(file)[0])
    if not volumes.is_volume(path):
        pages = tiff.slices(path) if tiff.is_tiff(path) else []
        if len(pages) > 1:
            unit = 1.0 if as_labels else images.open_picture(path, pages[:1]).unit
            return stack(path, len(pages), lambda k: page_of(path, [pages[k]], as_labels), unit)
        return in_one_piece(path, as_labels)
    volume = volumes.open_volume(path)
    if len(volume.shape) < 4:
        raise FormatError(f"{path} is an image and no volume.", argument="root")
    return volume


def page_of(path: str, pages: list[int] | None, as_labels: bool) -> np.ndarray:
    """Read a page `[H, W, C]`: of labels the numbers that are stored, not their colours."""
    if not as_labels:
        page = images.open_picture(path, pages).numbers()
    elif pages is None:
        page = masks.decode(path)[0][..., None]
    else:
        page = tiff.decode(path, pages).stored
    if page.ndim == 3:
        return page
    raise FormatError(f"{path} holds several pages, and a stack has one in each file.")


def stack(path: str, pages: int, read: Callable[[int], np.ndarray], unit: float) -> Volume:
    """Make a volume of pages that are read one by one."""
    first = read(0)

    def box(part: tuple[slice, slice, slice]) -> np.ndarray:
        return np.stack([checked(k)[part[1:]] for k in range(pages)[part[0]]])

    def checked(k: int) -> np.ndarray:
        page = read(k)
        if page.shape == first.shape:
            return page
        raise FormatError(
            f"Slice {k + 1} of {path} has size {' x '.join(map(str, page.shape))} (H x W x C), and "
            f"the first {' x '.join(map(str, first.shape))}: they make no volume."
        )

    everything = (slice(None), slice(None), slice(None))
    return Volume(path, (pages, *first.shape), lambda: box(everything), box, True, unit=unit)


def in_one_piece(path: str, as_labels: bool) -> Volume:
    """Make a volume of an image file, or of a TIFF that keeps all slices under one header."""
    if as_labels:
        first, unit = masks.decode(path)[0][..., None], 1.0
    else:
        picture = images.open_picture(path)
        first, unit = picture.raw, picture.unit
    shape = first.shape if first.ndim == 4 else (1, *first.shape)

    def whole() -> np.ndarray:
        if as_labels:
            return masks.decode(path)[0].reshape(shape)
        return images.open_picture(path).numbers().reshape(shape)

    return Volume(path, shape, whole, unit=unit)


# ---- choosing parts ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """Which parts of a volume become samples.

    Attributes
    ----------
    axis
        The axis (0, 1, 2) that is cut into slices; None for boxes.
    patch
        Size (D, H, W) of boxes; cut to the volume where that is smaller.
    overlap
        Share of a box, 0 to below 1, that the next one covers again.
    number
        Boxes of a volume that are drawn by chance; None covers it all.
    empty
        Whether parts without an object (a class id above 0) are taken.
    """

    axis: int | None = 0
    patch: tuple[int, int, int] = (64, 64, 64)
    overlap: float = 0.0
    number: int | None = None
    empty: bool = False

    def boxes(
        self, occupied: np.ndarray, annotated: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Choose parts of a volume, int32 `[n, 6]`.

        Parameters
        ----------
        occupied
            bool `[D, H, W]`: the voxels of objects.
        annotated
            bool `[D, H, W]`: the voxels that somebody looked at. Parts without any are left out.
        """
        if self.number is not None and self.axis is None:
            return self.drawn(occupied, rng)
        if self.axis is not None:
            found = slice_boxes(occupied.shape, self.axis)
        else:
            found = grid_boxes(occupied.shape, self.patch, self.overlap)
        wanted = annotated if self.empty else occupied
        return found[[has_object(wanted, box) for box in found]]

    def drawn(self, occupied: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw boxes; without empty ones each holds a voxel of an object that is drawn first."""
        size = np.minimum(self.patch, occupied.shape)
        room = np.array(occupied.shape) - size
        if self.empty:
            starts = rng.integers(0, room + 1, (self.number, 3))
        else:
            inside = np.flatnonzero(occupied)
            if len(inside) == 0:
                return np.zeros((0, 6), dtype=np.int32)
            voxels = np.unravel_index(rng.choice(inside, self.number), occupied.shape)
            starts = np.clip(np.stack(voxels, 1) - rng.integers(0, size, (self.number, 3)), 0, room)
        return np.hstack((starts, np.tile(size, (self.number, 1)))).astype(np.int32)


def slice_boxes(shape: Sequence[int], axis: int) -> np.ndarray:
    """All slices along an axis."""
    boxes = np.tile(np.array([0, 0, 0, *shape], dtype=np.int32), (shape[axis], 1))
    boxes[:, axis] = np.arange(shape[axis])
    boxes[:, axis + 3] = 1
    return boxes


def grid_boxes(shape: Sequence[int], patch: Sequence[int], overlap: float) -> np.ndarray:
    """Boxes that cover a volume; the last along each axis ends where the volume does."""
    size = np.minimum(patch, shape)
    starts = []
    for length, one in zip(shape, size, strict=True):
        step = max(1, round(one * (1 - overlap)))
        starts.append(np.unique(np.append(np.arange(0, length - one, step), length - one)))
    corners = np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.hstack((corners, np.tile(size, (len(corners), 1)))).astype(np.int32)


def has_object(occupied: np.ndarray, box: np.ndarray) -> bool:
    """Tell whether a box holds a voxel of an object."""
    return bool(occupied[tuple(slice(box[a], box[a] + box[a + 3]) for a in range(3))].any())


def r_parts(
    root: list[str],
    split: str | None,
    targets: list[str] | None,
    choice: dict,
    reading: dict,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """Find volumes and choose their parts for R; each label volume is read once.

    Parameters
    ----------
    root, split, targets
        As in `find_cases()`.
    choice
        Fields of `Choice`.
    reading
        `ignore`, `values`, `explicit` and `classes` of `masks.load()`; `numbers`: the ids `class`
        and `background` that numbers of objects become, None where labels hold class ids.
    seed
        Of boxes drawn by chance.
    progress
        Called with (volumes done, volumes in all).

    Returns
    -------
    dict
        `names`, `images`, `labels`, `ignored`: for each volume; `volume` (from 0) and `box`
        (int32 `[n, 6]`): for each part; `ids`: class ids seen; `classes`: ids by name, as the data
        set declares them, or None; `numbers`: as in `reading`, and those of the Cell Tracking
        Challenge's truth where that was read; `left_out`: parts without an object that were left
        out.

    Raises
    ------
    FormatError
        If a volume is damaged, or does not fit its labels.
    DataError
        If labels hold what can't be class ids.
    """
    cases, classes = find_cases(root, split, targets)
    reading = {"numbers": None} | reading
    if reading["numbers"] is None and all(TRUTH.match(stem(one.labels)) for one in cases):
        reading = reading | {"numbers": {"class": 1, "background": 0}}
        classes = {"background": 0, "cell": 1}
    # nnU-Net's name for voxels that do not count
    void = None if classes is None else classes.pop("ignore", None)
    if void is not None and not reading["explicit"]:
        reading = reading | {"ignore": void, "explicit": True}
    rule = Choice(**choice)
    rng = np.random.default_rng(seed)
    found: list[Parts] = []
    for n, case in enumerate(cases):
        found.append(parts_of(case, rule, reading, rng))
        if progress is not None:
            progress(n + 1, len(cases))
    counts = [len(one.boxes) for one in found]
    return {
        "names": [case.name for case in cases],
        "images": [list(case.images) for case in cases],
        "labels": [case.labels for case in cases],
        "ignored": [one.ignored for one in found],
        "volume": np.repeat(np.arange(len(cases), dtype=np.int32), counts),
        "box": np.concatenate([one.boxes for one in found]),
        "ids": np.array(sorted(set().union(*(one.ids for one in found))), dtype=np.int32),
        "classes": classes,
        "numbers": reading["numbers"],
        "left_out": sum(one.left_out for one in found),
    }


@dataclass(frozen=True)
class Parts:
    """The chosen parts of one volume: boxes, class ids and ignored values of its labels."""

    boxes: np.ndarray
    ids: set[int]
    ignored: list[int]
    left_out: int


def parts_of(case: Case, rule: Choice, reading: dict, rng: np.random.Generator) -> Parts:
    """Choose parts of one volume, after a look at its labels."""
    labels = opened(case.labels, as_labels=True)
    for path in case.images:
        volumes.check_same_grid(opened(path, as_labels=False), labels)
    ids, void = read_labels(case.labels, labels, **reading)
    numbers = reading["numbers"]
    occupied = ids > 0 if numbers is None else ids == numbers["class"]
    all_slices = not truth_slices.is_slice(case.labels)
    annotated = np.full_like(occupied, True) if all_slices else ids != IGNORE
    boxes = rule.boxes(occupied, annotated, rng)
    everything = len(boxes)
    if not rule.empty and rule.number is None:
        everything = len(replace(rule, empty=True).boxes(occupied, annotated, rng))
    seen = set(np.unique(ids).tolist()) - {IGNORE}
    return Parts(boxes, seen, sorted(void), everything - len(boxes))


def read_labels(
    path: str,
    volume: Volume,
    ignore: int | None,
    values: list[int] | None,
    explicit: bool,
    classes: list[int] | None,
    numbers: dict | None,
) -> tuple[np.ndarray, set[int]]:
    """Read a label volume whole: class ids with IGNORE, and the values that mean "ignore"."""
    raw = masks.one_channel(volume.whole(), path)
    labels = masks.whole(raw, path)
    if numbers is not None:
        void = {truth_slices.UNANNOTATED, *([ignore] if explicit and ignore is not None else [])}
        return of_objects(labels, void, numbers), void
    stored = masks.Stored(raw, top=masks.top_of(raw), ignore=volume.ignore)
    stored, rule = masks.exact(stored, path, masks.Rule(ignore, values, explicit, classes))
    void = masks.meaning_of(masks.distinct(raw, path), stored, path, rule)
    return masks.replaced(labels, path, void, values), void

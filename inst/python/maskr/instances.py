"""Objects in an image: boxes, scores, and masks as COCO run lengths, overlaps kept.

A run-length string counts pixels column by column, as COCO defines it; encoding and decoding are
done in C by faster-coco-eval. Functions whose name begins with `r_` serve one call from R.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskr.arrays import NA_INTEGER, array_to_r
from maskr.errors import DataError, ShapeError
from maskr.words import counted


@dataclass
class Instances:
    """Objects of one image.

    Parameters
    ----------
    size
        Height and width of the image in pixels.
    class_ids
        int32 `[N]`.
    scores
        float64 `[N]`; NaN where there is none.
    boxes
        float64 `[N, 4]`: xmin, ymin, xmax, ymax in pixels, 0-based and half-open.
    areas
        float64 `[N]` in pixels.
    rles
        COCO's compressed counts, one string each.
    """

    size: tuple[int, int]
    class_ids: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    rles: list[str]

    def __len__(self) -> int:
        return len(self.rles)

    @classmethod
    def from_masks(
        cls,
        masks: np.ndarray,
        class_ids: Sequence[int] | np.ndarray,
        scores: Sequence[float] | np.ndarray | None = None,
        boxes: np.ndarray | None = None,
    ) -> "Instances":
        """Make instances from bool masks `[N, H, W]`; boxes not given are those of the masks.

        Raises
        ------
        ShapeError
            If the masks are not three-dimensional, or the lengths differ.
        """
        masks = np.asarray(masks)
        if masks.ndim != 3:
            raise ShapeError(f"Masks must be [N, H, W], not an array of size {masks.shape}.")
        rles = encode(masks)
        return cls.from_rles(rles, masks.shape[1:], class_ids, scores, boxes)

    @classmethod
    def from_rles(
        cls,
        rles: Sequence[str],
        size: Sequence[int],
        class_ids: Sequence[int] | np.ndarray,
        scores: Sequence[float] | np.ndarray | None = None,
        boxes: np.ndarray | None = None,
    ) -> "Instances":
        """Make instances from run lengths; areas, and boxes not given, are those of the masks.

        Raises
        ------
        ShapeError
            If the lengths differ.
        DataError
            If a string is no run-length code of an image of this size.
        """
        n = len(rles)
        class_ids = np.asarray(class_ids, dtype=np.int32).reshape(-1)
        scores = np.full(n, np.nan) if scores is None else np.asarray(scores, float).reshape(-1)
        if len(class_ids) != n or len(scores) != n:
            raise ShapeError(
                f"{counted(n, 'mask')} came with {counted(len(class_ids), 'class', 'classes')} and "
                f"{counted(len(scores), 'score')}."
            )
        areas, own_boxes = measure(rles, size)
        boxes = own_boxes if boxes is None else np.asarray(boxes, dtype=float).reshape(n, 4)
        return cls((int(size[0]), int(size[1])), class_ids, scores, boxes, areas, list(rles))

    @classmethod
    def from_labels(cls, labels: np.ndarray, class_id: int) -> "Instances":
        """Make instances from a label image `[H, W]`: each number above 0 is one object."""
        rles = encode_labels(np.asarray(labels))
        return cls.from_rles(rles, labels.shape, [class_id] * len(rles))

    @classmethod
    def from_r(cls, columns: dict, size: Sequence[int]) -> "Instances":
        """Make instances from the columns of R's data frame; the inverse of `to_r()`."""
        boxes = [column(columns, name, float) for name in ("xmin", "ymin", "xmax", "ymax")]
        rle = columns["rle"]
        return cls(
            (int(size[0]), int(size[1])),
            column(columns, "class", np.int32),
            column(columns, "score", float),
            np.stack(boxes, axis=1),
            column(columns, "area", float),
            [rle] if isinstance(rle, str) else list(rle),
        )

    def masks(self, which: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Decode the bool masks `[N, H, W]` of all objects, or of those `which` (0-based)."""
        chosen = self.rles if which is None else [self.rles[i] for i in which]
        return decode(chosen, self.size).transpose(2, 0, 1)

    def crops(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield each object as the first row, the first column and the bool mask of its extent."""
        if not self.rles:
            return
        _, extents = measure(self.rles, self.size)
        counts, per_string = run_lengths(self.rles)
        pieces = np.split(counts, starts_of(per_string)[1:])
        for piece, (xmin, ymin, xmax, ymax) in zip(pieces, extents.astype(int), strict=True):
            is_object = np.arange(piece.size) % 2 == 1
            mask = np.repeat(is_object, piece).reshape(self.size[::-1]).T
            yield int(ymin), int(xmin), mask[ymin:ymax, xmin:xmax]

    def flatten(self) -> np.ndarray:
        """Tell which object owns each pixel.

        Returns
        -------
        np.ndarray
            int32 `[H, W]` of positions counted from 1, 0 where there is none. Where objects
            overlap, the higher score wins, and of equal or missing scores the later object.
        """
        owner = np.zeros(self.size, dtype=np.int32)
        strength = np.full(self.size, -np.inf)
        scores = np.where(np.isnan(self.scores), -1.0, self.scores)
        for i, (top, left, mask) in enumerate(self.crops()):
            window = (slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1]))
            wins = mask & (scores[i] >= strength[window])
            owner[window][wins] = i + 1
            strength[window][wins] = scores[i]
        return owner

    def to_r(self) -> dict:
        """Give the equal-length columns of R's data frame."""
        return {
            "class": self.class_ids,
            "score": self.scores,
            "xmin": self.boxes[:, 0],
            "ymin": self.boxes[:, 1],
            "xmax": self.boxes[:, 2],
            "ymax": self.boxes[:, 3],
            "area": self.areas,
            "rle": self.rles,
        }


def column(columns: dict, name: str, dtype: type) -> np.ndarray:
    """Take a column of R's data frame, which is a bare number where it has one row."""
    return np.asarray(columns[name], dtype=dtype).reshape(-1)


def encode(masks: np.ndarray) -> list[str]:
    """Encode masks `[N, H, W]` as COCO's compressed counts."""
    return encode_planes(masks.transpose(1, 2, 0))


def encode_planes(planes: np.ndarray) -> list[str]:
    """Encode masks `[H, W, N]`, the order of COCO and of R, as COCO's compressed counts."""
    height, width, n = planes.shape
    masks = planes if planes.dtype == bool else planes != 0
    return [encode_mask(by_columns(masks[:, :, i]), height, width) for i in range(n)]


def encode_mask(pixels: np.ndarray, height: int, width: int) -> str:
    """Encode a bool mask that is given column by column."""
    from faster_coco_eval.core import mask as coco

    is_edge = pixels[1:] != pixels[:-1]
    if np.count_nonzero(is_edge) > pixels.size * DENSE:
        rle = coco.encode(pixels.view(np.uint8).reshape(width, height).T)
    else:
        counts = np.diff(np.flatnonzero(is_edge) + 1, prepend=0, append=pixels.size).tolist()
        if pixels.size and pixels[0]:
            counts.insert(0, 0)  # the first run is background
        rle = coco.frPyObjects([{"counts": counts, "size": [height, width]}], height, width)[0]
    return as_text(rle["counts"])


DENSE = 1 / 250
"""Runs a pixel from which COCO's library, which looks at each pixel, beats looking at each run."""


def by_columns(mask: np.ndarray) -> np.ndarray:
    """Put the pixels of a bool mask `[H, W]` one column after the other."""
    if mask.strides[0] <= mask.strides[1] or mask.size == 0:
        return mask.ravel(order="F")
    import cv2  # four times as fast as numpy's copy

    return cv2.transpose(np.ascontiguousarray(mask).view(np.uint8)).ravel()


def encode_labels(labels: np.ndarray) -> list[str]:
    """Encode each label above 0 of `[H, W]`, in ascending order, as COCO's compressed counts."""
    from faster_coco_eval.core import mask as coco

    height, width = labels.shape
    flat = labels.ravel(order="F")
    starts = np.concatenate(([0], np.flatnonzero(np.diff(flat)) + 1))
    ends = np.append(starts[1:], flat.size)
    value = flat[starts]
    order = np.argsort(value, kind="stable")
    order = order[value[order] > 0]
    if order.size == 0:
        return []
    cuts = np.flatnonzero(np.diff(value[order])) + 1
    counts = [run_counts(starts[runs], ends[runs], flat.size) for runs in np.split(order, cuts)]
    objects = [{"counts": c, "size": [height, width]} for c in counts]
    return [as_text(rle["counts"]) for rle in coco.frPyObjects(objects, height, width)]


def run_counts(starts: np.ndarray, ends: np.ndarray, n: int) -> list[int]:
    """Turn runs of `n` pixels into alternating lengths that begin with the background."""
    edges = np.concatenate(([0], np.stack((starts, ends), axis=1).ravel(), [n]))
    counts = np.diff(edges).tolist()
    return counts[:-1] if counts[-1] == 0 else counts


def decode(rles: Sequence[str], size: Sequence[int]) -> np.ndarray:
    """Decode compressed counts into bool masks `[H, W, N]`, column by column in memory.

    Raises
    ------
    DataError
        If a string is no run-length code of an image of this size.
    """
    from faster_coco_eval.core import mask as coco

    height, width = int(size[0]), int(size[1])
    check_covering(rles, size)
    if not rles:
        return np.zeros((height, width, 0), dtype=bool)
    if sum(map(len, rles)) > 2 * DENSE * height * width * len(rles):
        return coco.decode(packed(rles, size)).view(bool)
    counts, per_string = run_lengths(rles)
    # every second run is the object's
    is_object = np.arange(counts.size) - np.repeat(starts_of(per_string), per_string) & 1 == 1
    pixels = np.repeat(is_object, counts)
    return pixels.reshape(len(rles), width, height).transpose(2, 1, 0)


def measure(rles: Sequence[str], size: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Find areas `[N]` and boxes `[N, 4]` (xmin, ymin, xmax, ymax) of compressed counts.

    Raises
    ------
    DataError
        If a string is no run-length code of an image of this size.
    """
    from faster_coco_eval.core import mask as coco

    if not rles:
        return np.zeros(0), np.zeros((0, 4))
    try:
        objects = as_objects(rles, size)
        boxes = np.asarray(coco.toBbox(objects), dtype=float).reshape(-1, 4)
    except (RuntimeError, ValueError, TypeError) as error:
        raise bad_rle(size) from error
    boxes[:, 2:] += boxes[:, :2]
    return areas_of(rles), boxes


def areas_of(rles: Sequence[str]) -> np.ndarray:
    """Count the pixels of strings that are known to be good, float64 `[N]`.

    COCO's library does it by decoding the mask, which takes twenty times as long.
    """
    counts, per_string = run_lengths(rles)
    first = starts_of(per_string)
    is_object = (np.arange(counts.size) - np.repeat(first, per_string)) % 2 == 1
    return np.add.reduceat(np.where(is_object, counts, 0), first).astype(float)


def bad_rle(size: Sequence[int], position: int | None = None, argument: str = "") -> DataError:
    """Make the error for run lengths that do not fit the image: of one object, counted from 0."""
    which = "An rle" if position is None else f"The rle of object {position + 1}"
    return DataError(
        f"{which} does not fit an image of {size[0]} x {size[1]} pixels.",
        hint="An rle is COCO's compressed counts of all pixels of the image, column by column; "
        "seg_instances() makes it of masks.",
        argument=argument,
    )


def as_objects(rles: Sequence[str], size: Sequence[int]) -> list[dict]:
    """Pack strings as the run-length objects that COCO's library takes.

    The library trusts their length, so it is checked here.

    Raises
    ------
    DataError
        If a string is no run-length code of an image of this size.
    """
    check_covering(rles, size)
    return packed(rles, size)


def packed(rles: Sequence[str], size: Sequence[int]) -> list[dict]:
    """Pack strings that are known to be good."""
    return [{"counts": r.encode("ascii"), "size": [int(size[0]), int(size[1])]} for r in rles]


def check_covering(rles: Sequence[str], size: Sequence[int]) -> None:
    """Refuse strings that are no run-length code of an image of this size."""
    wrong = np.flatnonzero(pixel_counts(rles) != size[0] * size[1])
    if wrong.size:
        raise bad_rle(size, wrong[0])


def pixel_counts(rles: Sequence[str]) -> np.ndarray:
    """Count the pixels that run-length strings cover, int64 `[N]`; -1 for what is none."""
    totals = np.full(len(rles), -1, dtype=np.int64)
    lengths = np.fromiter(map(len, rles), np.int64, len(rles))
    # pieces that stay in the processor's cache
    cuts = np.flatnonzero(np.diff(np.cumsum(lengths) // PIECE)) + 1
    for start, end in zip([0, *cuts], [*cuts, len(rles)], strict=True):
        piece = [rle if rle.isascii() else "" for rle in rles[start:end]]
        whole = np.flatnonzero(are_whole(piece))
        if whole.size:
            counts, per_string = run_lengths([piece[i] for i in whole])
            first = starts_of(per_string)
            is_valid = np.minimum.reduceat(counts, first) >= 0
            totals[start + whole] = np.where(is_valid, np.add.reduceat(counts, first), -1)
    return totals


PIECE = 2**15
"""Characters of run lengths that are looked at in one go."""
LONGEST = 7
"""Groups of five bits that the largest number of run lengths can take."""


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """Find where pieces of such lengths begin."""
    return np.cumsum(lengths) - lengths


def are_whole(rles: Sequence[str]) -> np.ndarray:
    """Tell which ASCII strings are made of run-length groups, the last one closed; bool `[N]`."""
    lengths = np.fromiter(map(len, rles), np.int64, len(rles))
    whole = lengths > 0
    groups = np.frombuffer("".join(rles).encode("ascii"), dtype=np.uint8) - 48
    if groups.size == 0:
        return whole
    ends = np.cumsum(lengths)
    bad = np.flatnonzero(groups > 63)
    whole[np.searchsorted(ends, bad, side="right")] = False
    whole[whole] = (groups[ends[whole] - 1] & 32) == 0
    last = np.flatnonzero((groups & 32) == 0)
    too_long = last[np.diff(last, prepend=-1) > LONGEST]
    whole[np.searchsorted(ends, too_long, side="right")] = False
    return whole


def run_lengths(rles: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read the run lengths of strings that `are_whole()`.

    Each number is written in groups of five bits, the lowest first, as characters from 48 up; bit
    32 says that more follow, bit 16 of the last group is the sign. From the fourth number on the
    difference to the last but one is written.

    Returns
    -------
    counts
        int64: those of all strings, one after the other.
    per_string
        int64 `[N]`: how many each has.
    """
    groups = np.frombuffer("".join(rles).encode("ascii"), dtype=np.uint8) - 48
    is_last = (groups & 32) == 0
    ends = np.flatnonzero(is_last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    numbers = (groups[starts] & 31).astype(np.int64)
    for place in range(1, int((ends - starts).max()) + 1):
        longer = np.flatnonzero(ends - starts >= place)
        numbers[longer] |= (groups[starts[longer] + place] & 31).astype(np.int64) << (5 * place)
    numbers -= np.where(groups[ends] & 16, 1 << (5 * (ends - starts + 1)), 0)
    lengths = np.fromiter(map(len, rles), np.int64, len(rles))
    per_string = np.add.reduceat(is_last, starts_of(lengths), dtype=np.int64)
    return undo_differences(numbers, per_string), per_string


def undo_differences(numbers: np.ndarray, per_string: np.ndarray) -> np.ndarray:
    """Add up the differences to the last but one, from the fourth number of each string on."""
    first = starts_of(per_string)
    place = np.arange(numbers.size) - np.repeat(first, per_string)
    counts = numbers.copy()
    for kind in (place % 2 == 1, (place % 2 == 0) & (place > 0)):
        sums = np.cumsum(np.where(kind, numbers, 0))
        # the first number of a string belongs to neither kind
        counts[kind] = (sums - np.repeat(sums[first], per_string))[kind]
    return counts


def as_text(counts: bytes | str) -> str:
    """Give compressed counts as a string."""
    return counts.decode("ascii") if isinstance(counts, bytes) else counts


def contours(mask: np.ndarray) -> list[np.ndarray]:
    """Trace the outlines of a bool mask `[H, W]` along its pixel edges.

    Returns
    -------
    list of np.ndarray
        Closed rings `[n, 2]` of x, y; outer rings and holes alike.
    """
    return rings(mask)[0]


def rings(mask: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Trace outlines as `contours()`, and tell whose hole each is.

    The mask is enlarged twice and the coordinates halved: polygons of plain OpenCV contours lose
    half a pixel on each side (IoU 0.79 on a square of 9 pixels when COCO rasterises them), these
    keep it (1.0).

    Returns
    -------
    rings
        Closed rings `[n, 2]` of x, y.
    parents
        int `[N]`: for a hole the number of the ring around it, else -1.
    """
    enlarged = mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    found, parents = pixel_rings(enlarged)
    return [ring / 2 for ring in found], parents


def pixel_rings(mask: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Trace outlines through the outermost pixels of a mask `[H, W]`; as `rings()`."""
    import cv2

    found, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parents = np.zeros(0, dtype=int) if tree is None else tree[0, :, 3]
    return [ring.reshape(-1, 2) for ring in found], parents


def r_outlines(columns: dict, size: Sequence[int]) -> dict:
    """Trace all objects for drawing: equal-length columns object (from 1), ring, x, y in pixels."""
    found: list[tuple[int, np.ndarray]] = []
    for i, (top, left, mask) in enumerate(Instances.from_r(columns, size).crops()):
        # a quarter pixel puts a line of zero width onto the middle of the enlarged pixels
        found += [(i + 1, ring + (left + 0.25, top + 0.25)) for ring in contours(mask)]
    lengths = [len(ring) for _, ring in found]
    points = np.concatenate([ring for _, ring in found]) if found else np.zeros((0, 2))
    return {
        "object": np.repeat(np.array([i for i, _ in found], dtype=np.int32), lengths),
        "ring": np.repeat(np.arange(1, len(found) + 1, dtype=np.int32), lengths),
        "x": points[:, 0].copy(),
        "y": points[:, 1].copy(),
    }


def r_from_masks(
    masks: np.ndarray, class_ids: list[int], scores: list[float] | None, boxes: np.ndarray | None
) -> dict:
    """Encode R's logical array `[H, W, N]`; columns as `Instances.to_r()`."""
    size = masks.shape[:2]
    return Instances.from_rles(encode_planes(masks), size, class_ids, scores, boxes).to_r()


def r_from_rles(
    rles: list[str],
    size: list[int],
    class_ids: list[int],
    scores: list[float] | None,
    boxes: np.ndarray | None,
) -> dict:
    """Measure run lengths from R; columns as `Instances.to_r()`."""
    return Instances.from_rles(rles, size, class_ids, scores, boxes).to_r()


def r_from_labels(labels: np.ndarray, class_id: int) -> dict:
    """Encode an R matrix of object numbers; columns as `Instances.to_r()` and `id`.

    Raises
    ------
    DataError
        If a number is negative.
    """
    negative = labels[labels < 0]
    wrong = negative[negative != NA_INTEGER]
    if wrong.size:
        raise DataError(f"A label image holds numbers from 0 up, not {wrong[0]}.")
    return labelled(np.maximum(labels, 0), class_id)


def labelled(labels: np.ndarray, class_id: int) -> dict:
    """Give the columns of the objects in a label image, with their numbers as `id`."""
    flat = labels.ravel(order="K")
    # a sort of the places where numbers change is a tenth of one of all pixels
    numbers = np.unique(np.append(flat[:1], flat[1:][flat[1:] != flat[:-1]]))
    return {
        "id": numbers[numbers > 0].astype(np.int32),
        **Instances.from_labels(labels, class_id).to_r(),
    }


def r_flatten(columns: dict, size: list[int]) -> np.ndarray:
    """Tell R which row owns each pixel: int32 `[H, W]`, 0 where there is none."""
    return array_to_r(Instances.from_r(columns, size).flatten())


def r_masks(rles: list[str], size: list[int]) -> np.ndarray:
    """Decode run lengths for R: bool `[H, W, N]`."""
    return decode(rles, [int(s) for s in size])


def read(path: str, class_id: int, ignore: int | None = None) -> dict:
    """Read a label image, whose pixels are object numbers.

    Parameters
    ----------
    path
        PNG (grey or index) or TIFF of one page.
    class_id
        The class of all objects.
    ignore
        A number that is no object; None where every number above 0 is one.

    Returns
    -------
    dict
        `columns` for R, with the numbers as `id`, and `size` (H, W).

    Raises
    ------
    FormatError
        If the file cannot be read or is colour-coded.
    ShapeError
        If it has several pages.
    DataError
        If it holds only 0 and 255, which is a binary mask.
    """
    from maskr import masks

    name = Path(path).name
    numbers, _ = masks.decode(path)
    labels = masks.whole(numbers, name)
    if labels.ndim != 2:
        raise ShapeError(
            f"{name} has {labels.shape[0]} pages, and instances are 2D only.",
            hint="Read it with seg_read_mask() and use as_seg_panoptic().",
        )
    top = masks.binary_top(masks.distinct(numbers, name), masks.top_of(numbers))
    if top and ignore is None:
        raise DataError(
            f"{name} holds only the values 0 and {top}: a binary mask, which does not say where "
            "one object ends and the next begins.",
            hint=f"Read it with seg_read_mask(path, values = c(0, {top})).",
        )
    if labels.min() < 0:
        raise DataError(f"{name} holds negative numbers, which are not objects.")
    if ignore is not None:
        labels[labels == ignore] = 0
    return {"columns": labelled(labels, class_id), "size": [int(s) for s in labels.shape]}

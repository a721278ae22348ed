"""Writing YOLO's folders, see `yolo` and `yolo_boxes`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from maskr.annotations import yolo_folders
from maskr.annotations.class_names import BACKGROUND, IGNORED
from maskr.annotations.image_writing import copy_image, stems
from maskr.annotations.items import Item, has_extent, items, outline
from maskr.annotations.options import Progress, WriteOptions
from maskr.annotations.polygons import Parts, Polygon, joined, rasterise, trace
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations
from maskr.errors import DataError
from maskr.files import folder_atomically
from maskr.instances import decode, measure

NO_PIXELS = "object without pixels in its image, left out"
CUT_OFF = "object cut off at the edge of its image"
ROUNDING = 0.01
"""Pixels that a coordinate of six decimals may be off in an image 10,000 pixels wide."""

NUDGE = 5e-5
"""Pixels that keep a rounded share from falling short of its corner.

COCO's rasteriser rounds down to fifths of a pixel, and traced outlines lie right on those.
"""

Shape = Callable[[Item, tuple[int, int], Report, str], np.ndarray | None]
"""Makes the numbers of an object's line in pixels, `[n, 2]`; None for no line."""


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
    shape: Shape,
) -> None:
    """Write a folder whose lines hold what `shape` makes of each object."""
    channels = number_classes(annotations, report)
    names = stems(annotations)
    splits = [written_split(annotations, i, report) for i in range(len(names))]

    def save(folder: str) -> None:
        for split in sorted(set(splits) | {"train"}):
            for kind in ("images", "labels"):
                (Path(folder) / kind / split).mkdir(parents=True)
        for i, (name, split) in enumerate(zip(names, splits, strict=True)):
            lines = object_lines(annotations, i, channels, shape, report)
            file = Path(folder) / "labels" / split / f"{name}.txt"
            file.write_text("".join(lines), encoding="utf-8")
            if options.copy_images:
                copy_image(annotations, i, Path(folder) / "images" / split / name, report)
            progress(i + 1, len(names))
        description = describe(annotations, channels, splits)
        (Path(folder) / "data.yaml").write_text(description, encoding="utf-8")

    folder_atomically(str(path), save)


def number_classes(annotations: Annotations, report: Report) -> dict[int, int]:
    """Number the classes from 0 in the order of their ids, without those of no object."""
    left_out = (*BACKGROUND, IGNORED)
    ids = sorted(one.id for one in annotations.classes if one.name.lower() not in left_out)
    channels = {class_id: number for number, class_id in enumerate(ids)}
    names = annotations.names()
    for class_id, number in channels.items():
        if number != class_id:
            where = f'"{names[class_id]}", {class_id} becomes {number}'
            report.change("class id renumbered, since YOLO counts from 0", where)
    return channels


def written_split(annotations: Annotations, i: int, report: Report) -> str:
    """Name the split that an image is written to."""
    own = annotations.images.splits[i] or "train"
    split = yolo_folders.split_of(own) or "train"
    if split != own:
        report.change(f'split "{own}" written as "{split}"', annotations.images.files[i])
    return split


def describe(annotations: Annotations, channels: dict[int, int], splits: list[str]) -> str:
    """Make the text of a `data.yaml`."""
    import yaml

    names = annotations.names()
    content = {
        "path": ".",
        **{
            split: f"images/{split}"
            for split in ("train", "val", "test")
            if split in {"train", *splits}
        },
        "names": {number: names[class_id] for class_id, number in channels.items()},
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def object_lines(
    annotations: Annotations, i: int, channels: dict[int, int], shape: Shape, report: Report
) -> list[str]:
    """Make the lines of one image."""
    where, size = annotations.images.files[i], annotations.size(i)
    names = annotations.names()
    lines = []
    for item in items(annotations, i, report)[0]:
        if item.class_id not in names:
            raise DataError(f'An object in "{where}" has the unknown class id {item.class_id}.')
        if item.iscrowd:
            report.change("crowd left out, which YOLO does not know", where)
        elif item.class_id not in channels:
            report.change("object of the background or to be ignored, left out", where)
        else:
            points = shape(item, size, report, where)
            if points is None:
                report.change(NO_PIXELS, where)
                continue
            report_lost(item, where, report)
            lines.append(label_line(channels[item.class_id], points, size))
    return lines


def report_lost(item: Item, where: str, report: Report) -> None:
    """Report what no line can hold."""
    if item.score == item.score:
        report.change("score left out", where)
    if item.attributes:
        report.change("attributes left out", where)


def label_line(number: int, points: np.ndarray, size: tuple[int, int]) -> str:
    """Write an object: its class, and pairs `[n, 2]` in pixels along x and y as shares."""
    shares = (points / (size[1], size[0])).ravel()
    return " ".join([str(number), *(f"{share:.9g}" for share in shares)]) + "\n"


def polygon(item: Item, size: tuple[int, int], report: Report, where: str) -> Polygon | None:
    """Make one polygon of an object."""
    if not has_extent(item, size):
        return None
    outer = outline(item, size, "coco", report, where)
    parts = [np.reshape(part, (-1, 2)).astype(float) for part in outer]
    inside = [part for part in (cut_off(part, size) for part in parts) if len(part) >= 3]
    if any(reaches_out(part, size) for part in parts):
        report.change(CUT_OFF, where)
    if len(inside) > 1:
        report.change("object of several parts joined to one polygon", where)
        inside = [joined(disjoint(inside, size))]
    return np.minimum(inside[0] + NUDGE, (size[1], size[0])) if inside else None


def reaches_out(points: np.ndarray, size: tuple[int, int]) -> bool:
    """Tell whether points `[n, 2]` lie outside of their image, by more than rounding."""
    high = points - (size[1], size[0])
    return bool(points.min() < -ROUNDING or high.max() > ROUNDING)


def disjoint(parts: list[Polygon], size: tuple[int, int]) -> list[Polygon]:
    """Unite parts that overlap, which would cancel out in one polygon."""
    rles = rasterise([[part.ravel().tolist()] for part in parts], size)
    whole = rasterise([[part.ravel().tolist() for part in parts]], size)
    if measure(rles, size)[0].sum() == measure(whole, size)[0][0]:
        return parts
    united: Parts = trace(decode(whole, size)[:, :, 0])[0]
    return [np.reshape(part, (-1, 2)) for part in united]


def cut_off(points: Polygon, size: tuple[int, int]) -> Polygon:
    """Cut a polygon at the edges of its image (Sutherland and Hodgman 1974)."""
    for axis, limit, sign in ((0, 0, -1), (1, 0, -1), (0, size[1], 1), (1, size[0], 1)):
        inside = sign * (points[:, axis] - limit) <= 0
        if inside.all():
            continue
        step = np.roll(points, -1, axis=0) - points
        crosses = inside != np.roll(inside, -1)
        share = (limit - points[crosses, axis]) / step[crosses, axis]
        crossing = points.copy()
        crossing[crosses] += share[:, None] * step[crosses]
        crossing[crosses, axis] = limit
        both = np.stack((points, crossing), axis=1)
        points = both[np.stack((inside, crosses), axis=1)]
    return points

"""LabelMe's JSON files (https://github.com/labelmeai/labelme), one beside each image.

Coordinates are pixels from the image's upper left corner, and shapes are drawn by Pillow: their
fractions are cut off, and the outline's own pixels belong to the object. Polygons, rectangles and
masks are drawn exactly as LabelMe draws them; a circle becomes the polygon that gives the pixels
of Pillow's ellipse (beyond a radius of 1000 pixels, the polygon of the true circle). Lines and
points have no area and are left out.

Shapes of one label and group are one object, which is drawn at the place of its first shape. The
label "_background_" is the class "background"; pixels under "__ignore__" are ignored in masks.
"""

import base64
import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np

from maskr.annotations.attributes import lifted
from maskr.annotations.class_names import Names
from maskr.annotations.columns import Images, ObjectTable
from maskr.annotations.image_names import base_name, find_image, side, size_at
from maskr.annotations.labelme_writing import BACKGROUND_LABEL, RULE
from maskr.annotations.labelme_writing import write as write
from maskr.annotations.options import ReadOptions
from maskr.annotations.polygons import FAR, trace, usable
from maskr.annotations.report import Report
from maskr.annotations.shapes import LARGEST_MASK, Draft, ellipse, placed, points_of, usable_box
from maskr.annotations.table import Annotations
from maskr.documents import read_json
from maskr.errors import FormatError
from maskr.images import SUFFIXES
from maskr.words import counted

if TYPE_CHECKING:
    from PIL import Image

PEEK = 2**16
"""Bytes at a file's beginning and end that tell its format."""
DAMAGE = (OSError, SyntaxError, ValueError, TypeError, EOFError, struct.error, zlib.error)
"""What Pillow raises on damaged images."""
EXACT_RADIUS = 1000
"""Pixels; larger circles would take much memory, and their edge is a tiny share of them."""


def matches(path: Path) -> bool:
    """Tell a LabelMe file, or a folder of such, by its keys."""
    files = json_files(path)
    return bool(files) and is_labelme(files[0])


def json_files(path: Path) -> list[Path]:
    """List the JSON files of a folder, of its subfolders if it has none itself."""
    if not path.is_dir():
        return [path] if path.suffix.lower() == ".json" else []
    return sorted(path.glob("*.json")) or sorted(path.rglob("*.json"))


def is_labelme(path: Path) -> bool:
    """Tell a LabelMe file by the keys at its beginning and end."""
    try:
        with path.open("rb") as file:
            text = file.read(PEEK)
            file.seek(max(file.tell(), path.stat().st_size - PEEK))
            text += file.read()
    except OSError:
        return False
    return b'"shapes"' in text and any(key in text for key in (b'"imagePath"', b'"imageData"'))


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read one file, or all files of a folder.

    Raises
    ------
    FormatError
        If there is none, or one is damaged.
    DataError
        If a label is not among the classes given.
    """
    root = path if path.is_dir() else path.parent
    folder = Path(options.images) if options.images else root
    images, table, names = Images(), ObjectTable(), Names()
    for file, content in contents(path, report):
        name = image_name(content, file, folder, root)
        size = size_of_image(content, file, folder / name)
        image_id = images.add(name, *size)
        for draft in drafts(content["shapes"], file, size, names, report):
            draft.add_to(table, image_id, size, RULE)
    objects = table.finish()
    classes = names.settle(objects, options.classes, path)
    return Annotations("labelme", str(folder), images, objects, classes, {"rasteriser": RULE})


def contents(path: Path, report: Report) -> Iterator[tuple[Path, dict]]:
    """Yield the LabelMe files of a path with what they hold."""
    count = 0
    for file in json_files(path):
        content = read_json(file)
        if isinstance(content, dict) and isinstance(content.get("shapes"), list):
            count += 1
            yield file, content
        elif path.is_dir():
            report.skip("JSON file that is not LabelMe's", str(file))
    if count == 0:
        raise FormatError(
            f"{path} {'holds no' if path.is_dir() else 'is not a'} file of LabelMe.",
            hint='That is a JSON object with a list "shapes".',
            argument="path",
        )


def image_name(content: dict, file: Path, folder: Path, root: Path) -> str:
    """Find the image of a file: where it says, or under the same name beside it."""
    given = content.get("imagePath")
    beside = file.parent.relative_to(root).as_posix()
    if given is None:
        names = [f"{beside}/{file.stem}{suffix}" for suffix in SUFFIXES]
    elif isinstance(given, str) and given:
        base = base_name(given)
        own = given if PureWindowsPath(given).root else f"{beside}/{given}"
        names = [own, f"{beside}/{base}", given, base]
    else:
        raise FormatError(f'The "imagePath" of {file} is not a file name.', argument="path")
    return find_image(names, folder, str(file))


def size_of_image(content: dict, file: Path, image: Path) -> tuple[int, int]:
    """Take an image's size from the file, else from the image, else from the image in the file."""
    size = side(content.get("imageHeight"), str(file)), side(content.get("imageWidth"), str(file))
    if min(size) == 0:
        size = size_at(image)
    if min(size) == 0 and content.get("imageData"):
        picture = embedded(content["imageData"], f'"imageData" of {file}')
        size = picture.height, picture.width
    return size


def embedded(text: Any, where: str) -> "Image.Image":
    """Open an image that is written as base64; its pixels are decoded later.

    Raises
    ------
    FormatError
        If it is none.
    """
    from PIL import Image

    try:
        return Image.open(io.BytesIO(base64.b64decode(text, validate=False)))
    except DAMAGE as error:
        raise FormatError(f"{where} is not an image.", argument="path") from error
    except Image.DecompressionBombError as error:
        raise FormatError(f"{where} is too large.", argument="path") from error


def drafts(
    shapes: list, file: Path, size: tuple[int, int], names: Names, report: Report
) -> list[Draft]:
    """Put the objects of a file together."""
    found: dict[Any, Draft] = {}
    for i, shape in enumerate(shapes):
        where = f"shape {i + 1} of {file}"
        if not isinstance(shape, dict):
            raise FormatError(f"{where} is not a JSON object.", argument="path")
        label, group = label_of(shape, where), shape.get("group_id")
        key = i if group is None else (label, str(group))
        draft = found.get(key) or Draft(lifted(attributes_of(shape)))
        if add_shape(draft, shape, where, size, report):
            draft.place = names.place(label)
            found[key] = draft
    return list(found.values())


def label_of(shape: dict, where: str) -> str:
    """Take a shape's label as the name of a class."""
    label = shape.get("label")
    if isinstance(label, bool) or not isinstance(label, (str, int, float)) or label == "":
        raise FormatError(f"{where} has no label.", argument="path")
    return "background" if label == BACKGROUND_LABEL else str(label)


def attributes_of(shape: dict) -> dict:
    """Collect what a shape says beside its form and label."""
    more = shape.get("attributes")
    found = dict(more) if isinstance(more, dict) else {}
    for key in ("group_id", "description", "flags", "score", "iscrowd"):
        if shape.get(key) not in (None, "", {}):
            found[key] = shape[key]
    return found


def add_shape(draft: Draft, shape: dict, where: str, size: tuple[int, int], report: Report) -> bool:
    """Add a shape to its object; False, and reported, if it has no area."""
    kind = shape.get("shape_type") or "polygon"
    points = points_of(shape.get("points"), where)
    if kind in ("polygon", "oriented_rectangle"):
        draft.parts += (new := usable([points.ravel()], where, report))
    elif kind == "rectangle" and len(points) in (2, 4):
        corners = [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]
        draft.boxes += (new := [box for box in [usable_box(corners, where, report)] if box])
    elif kind == "circle" and len(points) == 2:
        draft.parts += (new := usable(circle(points), where, report))
    elif kind == "mask" and len(points):
        draft.rles += (new := [rle for rle in [mask_of(shape, points, where, size, report)] if rle])
    elif kind in ("rectangle", "circle", "mask"):
        raise FormatError(
            f"{where}, a {kind}, has {counted(len(points), 'point')}.", argument="path"
        )
    else:
        new = []
        report.skip(f"shape of type {str(kind)[:20]}", where)
    return bool(new)


def circle(points: np.ndarray) -> list[list[float]]:
    """Make the polygon of a circle, given by its centre and a point of its rim."""
    from PIL import Image, ImageDraw

    if not np.isfinite(points).all() or np.abs(points).max() > FAR:
        # reported as a polygon
        return [points.ravel().tolist() * 2]
    cx, cy = points[0].tolist()
    radius = float(np.hypot(*(points[0] - points[1])))
    if radius > EXACT_RADIUS:
        return [ellipse(cx, cy, radius, radius)]
    # Pillow cuts the fractions of an ellipse's bounds off
    left, right = int(cx - radius), int(cx + radius)
    top, bottom = int(cy - radius), int(cy + radius)
    canvas = Image.new("1", (right - left + 1, bottom - top + 1))
    ImageDraw.Draw(canvas).ellipse((0, 0, right - left, bottom - top), outline=1, fill=1)
    parts, _ = trace(np.asarray(canvas), RULE)
    # a point, for which Pillow draws nothing, is reported as a polygon
    parts = parts or [[0.0, 0.0]]
    return [(np.reshape(part, (-1, 2)) + (left, top)).ravel().tolist() for part in parts]


def mask_of(
    shape: dict, points: np.ndarray, where: str, size: tuple[int, int], report: Report
) -> str:
    """Decode a shape's own mask, whose upper left corner is its first point.

    Raises
    ------
    FormatError
        If it is no image, or far too large.
    """
    if min(size) == 0:
        report.skip("mask in an image of unknown size", where)
        return ""
    if not np.isfinite(points).all() or np.abs(points).max() > size[0] + size[1]:
        report.skip("mask far outside of its image", where)
        return ""
    picture = embedded(shape.get("mask"), f'"mask" of {where}')
    if picture.width * picture.height > LARGEST_MASK or size[0] * size[1] >= 2**31:
        raise FormatError(f'The "mask" of {where} is too large.', argument="path")
    try:
        mask = np.asarray(picture) != 0
    except DAMAGE as error:
        raise FormatError(f'The "mask" of {where} is damaged.', argument="path") from error
    left, top = np.round(points.min(axis=0)).astype(int).tolist()
    rle = placed(mask.any(axis=2) if mask.ndim == 3 else mask, left, top, size)
    if not rle:
        report.skip("mask without a pixel in its image", where)
    return rle

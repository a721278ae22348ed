"""COCO's panoptic format (https://cocodataset.org/#format-data): one JSON file and a PNG an image.

A pixel's segment is R + 256 G + 65536 B, 0 where nothing is labelled; the JSON tells the class of
each segment. The PNGs lie beside the JSON in a folder of its name. Objects are the segments: their
ids are distinct within an image only. Pixels without label are ignored.
"""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import orjson

from maskr.annotations.coco_objects import read_boxes
from maskr.annotations.coco_tables import (
    category_rows,
    distinct,
    files_of,
    image_rows,
    mentions,
    read_categories,
    read_images,
    report_splits,
    the_file,
)
from maskr.annotations.columns import Images, Objects
from maskr.annotations.image_names import relative
from maskr.annotations.json_records import Records, load_object
from maskr.annotations.label_writing import report_left_out
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations, Labels, flatten
from maskr.arrays import IGNORE
from maskr.errors import DataError, FormatError
from maskr.files import atomically, folder_atomically
from maskr.masks import decode_colours
from maskr.panoptic import Panoptic

PATTERNS = ("annotations/panoptic_*.json", "panoptic_*.json")
HIGHEST = 2**24 - 1

CLASSES_IN_TABLE = True
"""The PNGs hold no class ids: the table of objects does."""


def matches(path: Path) -> bool:
    """Tell whether it is such a JSON file, or a folder with `annotations/panoptic_*.json`."""
    if path.is_dir():
        return bool(files_of(path, PATTERNS))
    return mentions(path, (b"images", b"categories", b"segments_info"), b"{")


# reading -----------------------------------------------------------------------------------------


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a file, or the one file of a folder; no PNG is decoded.

    Raises
    ------
    FormatError
        If it is damaged or incomplete, or PNGs are missing; the error names the record.
    """
    file = the_file(path, PATTERNS)
    content = load_object(file)
    images, folder = read_images(content, file, options.images)
    classes = read_categories(content, file, report)
    records = Records.of(content.get("annotations"), "annotations", file.name)
    image_ids = records.whole("image_id")
    records.check_unique("image_id", image_ids)
    known = np.array(images.ids, dtype=np.int64)
    rows = records.find("image_id", image_ids, known, "images")
    for row, place in zip(rows, png_files(records, file), strict=True):
        images.mask_files[row] = place
    objects = read_segments(records, file, image_ids, {one.id for one in classes})
    classes = distinct(classes, set(objects.class_ids.tolist()), file, report)
    return Annotations("coco_panoptic", folder, images, objects, classes)


def png_files(records: Records, file: Path) -> list[str]:
    """Find the PNGs."""
    names = records.texts("file_name")
    stem = file.parent / file.stem
    places = [stem, file.parent / "png", file.parent]
    folder = next((one for one in places if names and (one / names[0]).is_file()), stem)
    found = [folder / relative(one, folder, records.where(i)) for i, one in enumerate(names)]
    for i, place in enumerate(found):
        if not place.is_file():
            raise records.error(
                i, f"names {place}, which does not exist", hint=f"The PNGs belong into {stem}."
            )
    return [str(place) for place in found]


def read_segments(
    records: Records, file: Path, image_ids: np.ndarray, classes: set[int]
) -> Objects:
    """Make a table of all images' segments."""
    infos = records.required("segments_info")
    records.check_types("segments_info", infos, {list}, "a list of segments")
    lengths = [len(one) for one in infos]
    owner = np.repeat(np.arange(len(infos)), lengths)
    first = np.cumsum([0, *lengths])
    segments = Records.of(list(chain.from_iterable(infos)), "segments_info", file.name)
    segments.label = lambda i: f"{records.label(owner[i])}.segments_info[{i - first[owner[i]]}]"
    ids, class_ids = segments.whole("id", least=1), segments.whole("category_id")
    segments.check_unique("id", ids, owner)
    if ids.max(initial=0) > HIGHEST:
        raise segments.error(int(ids.argmax()), f"has the id {ids.max()}, beyond 24 bits")
    known = np.array(sorted(classes), dtype=np.int64)
    segments.find("category_id", class_ids, known, "categories")
    texts = [[""] * len(ids) for _ in range(3)]
    return Objects(
        ids,
        image_ids[owner],
        class_ids,
        segments.numbers("score"),
        read_boxes(segments),
        segments.numbers("area"),
        segments.flags("iscrowd", False),
        *texts,
    )


# one image ---------------------------------------------------------------------------------------


def labels(annotations: Annotations, i: int) -> Labels:
    """Decode a PNG. Segments that were taken out of the table are background."""
    ids = pixel_ids(annotations, i)
    found, places = np.unique(ids, return_inverse=True)
    rows = annotations.rows(i)
    table = annotations.objects
    class_of = dict(zip(table.ids[rows].tolist(), table.class_ids[rows].tolist(), strict=True))
    class_of[0] = IGNORE
    if not set(class_of).issuperset(found.tolist()):
        class_of = dict.fromkeys(found.tolist(), annotations.void()) | class_of
    classes = np.array([class_of[one] for one in found.tolist()], dtype=np.int32)
    crowds = table.ids[rows[table.iscrowd[rows]]]
    single = np.isin(classes, list(annotations.things())) & ~np.isin(found, crowds)
    objects = np.where(single, found, 0).astype(np.int32)
    shape = ids.shape
    return Labels(classes[places].reshape(shape), objects[places].reshape(shape))


def panoptic(annotations: Annotations, i: int) -> Panoptic:
    """Decode a PNG, segments with their own ids. Those not in the table are void."""
    ids, rows = pixel_ids(annotations, i), annotations.rows(i)
    table = annotations.objects
    own, classes = table.ids[rows].astype(np.int32), table.class_ids[rows].astype(np.int32)
    is_thing = np.isin(classes, list(annotations.things()))
    ids = np.where(np.isin(ids, own), ids, 0)
    return Panoptic(ids, own, classes, is_thing, table.scores[rows], table.iscrowd[rows])


def pixel_ids(annotations: Annotations, i: int) -> np.ndarray:
    """Decode the segment ids of a PNG, int32 `[H, W]`.

    Raises
    ------
    FormatError
        If it has no colours, another size than its image, or none of its segments.
    """
    file = annotations.images.mask_files[i]
    pixels = decode_colours(file)
    if pixels.dtype != np.uint8 or pixels.shape[-1] < 3:
        raise FormatError(f"{file} is not a PNG of 8-bit colours, which panoptic segments are.")
    size = (annotations.images.heights[i], annotations.images.widths[i])
    if min(size) > 0 and pixels.shape[:2] != tuple(size):
        raise FormatError(
            f"{file} has {pixels.shape[0]} x {pixels.shape[1]} pixels, and its image "
            f"{annotations.images.files[i]} {size[0]} x {size[1]}."
        )
    ids = pixels[:, :, :3].astype(np.int32) @ np.array([1, 256, 65536], dtype=np.int32)
    own = annotations.objects.ids[annotations.rows(i)]
    if own.size and ids.any() and not np.isin(ids, own).any():
        raise FormatError(f"{file} holds none of the segments that its annotation lists.")
    return ids


# writing -----------------------------------------------------------------------------------------


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write the JSON file, and the PNGs into a folder of its name, both or neither.

    Things come from objects, one segment of stuff from each class of stuff; where objects overlap,
    the higher score is on top, and of equal scores the later object. Pixels of no object are void;
    a class called background keeps them apart from that.

    Raises
    ------
    FormatError
        If the folder of the PNGs holds files already.
    """
    if path.is_dir() or not path.suffix:
        raise FormatError(
            f"{path} is not a name for a JSON file.",
            hint='Give one such as "panoptic_val.json".',
            argument="path",
        )
    report_splits(annotations, report)

    def save(part: str) -> None:
        def fill(folder: str) -> None:
            rows = write_pngs(annotations, Path(folder), report, progress)
            content = {
                "images": image_rows(annotations),
                "annotations": rows,
                "categories": category_rows(annotations, with_kind=True),
            }
            Path(part).write_bytes(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY))

        folder_atomically(str(path.with_suffix("")), fill)

    atomically(str(path), save)


def write_pngs(
    annotations: Annotations, folder: Path, report: Report, progress: Progress
) -> list[dict]:
    """Write a PNG for each image, and give their annotations."""
    from PIL import Image

    name_of = png_names(annotations.images)
    rows = []
    for i, number in enumerate(annotations.images.ids):
        if annotations.format == "coco_panoptic" and not annotations.images.mask_files[i]:
            continue  # an image that nobody labelled stays so
        ids, segments = segments_of(annotations, i, report)
        name = name_of(i)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        colours = np.stack((ids & 255, ids >> 8 & 255, ids >> 16), axis=-1).astype(np.uint8)
        Image.fromarray(colours).save(folder / name)
        rows.append({"image_id": int(number), "file_name": name, "segments_info": segments})
        progress(i + 1, len(annotations.images))
    return rows


def png_names(images: Images) -> Callable[[int], str]:
    """Name the PNGs as the images, or with their ending where two differ in that only."""
    names = [Path(file).with_suffix(".png").as_posix() for file in images.files]
    if len(set(names)) == len(names):
        return lambda i: names[i]
    return lambda i: f"{images.files[i]}.png"


def segments_of(annotations: Annotations, i: int, report: Report) -> tuple[np.ndarray, list[dict]]:
    """Give the segment ids of an image's pixels, and its segments as the JSON lists them."""
    from scipy import ndimage

    file = annotations.images.files[i]
    made = annotations.panoptic(i)
    if made.ids.ndim != 2:
        raise DataError("Panoptic PNGs are 2D only, and this is a volume.", argument="x")
    report_losses(annotations, i, report)
    report_void(annotations, i, made, report)
    crowds = crowds_of(annotations, i, made)
    found, places = np.unique(np.append(0, made.ids), return_inverse=True)
    places = places[1:].reshape(made.ids.shape)
    empty = np.setdiff1d(made.segment_ids, found)
    if empty.size:
        report.change("segment without pixels, not written", file, empty.size)
    # ids of stuff may be as large as class ids
    numbers = found if found[-1] <= HIGHEST else np.arange(len(found))
    areas = np.bincount(places.ravel(), minlength=len(found))
    row_of = {int(one): row for row, one in enumerate(made.segment_ids)}
    segments = []
    for n, extent in enumerate(ndimage.find_objects(places), start=1):
        row, (y, x) = row_of[int(found[n])], extent
        segment = {
            "id": int(numbers[n]),
            "category_id": int(made.class_ids[row]),
            "area": int(areas[n]),
            "bbox": [x.start, y.start, x.stop - x.start, y.stop - y.start],
            "iscrowd": int(int(found[n]) in crowds),
        }
        if made.scores[row] == made.scores[row]:
            segment["score"] = float(made.scores[row])
        segments.append(segment)
    return numbers[places].astype(np.int32), segments


def crowds_of(annotations: Annotations, i: int, made: Panoptic) -> set[int]:
    """Find which segments are crowds: those of things that are no single object."""
    crowd = made.iscrowd
    if annotations.format != "coco_panoptic":
        crowd = crowd | (~made.isthing & np.isin(made.class_ids, list(annotations.things())))
    return set(made.segment_ids[crowd].tolist())


def report_void(annotations: Annotations, i: int, made: Panoptic, report: Report) -> None:
    """Count images with pixels of no object, which are background here and void when read."""
    empty = made.ids == 0
    if not empty.any():
        return
    if annotations.images.mask_files[i] or annotations.ignored():
        is_lost = bool((annotations.labels(i).classes[empty] != IGNORE).any())
    else:
        is_lost = annotations.void() != IGNORE
    if is_lost:
        reason = "image whose pixels of no object become void, which is ignored when read"
        report.change(reason, annotations.images.files[i])


def report_losses(annotations: Annotations, i: int, report: Report) -> None:
    """Count the objects that others lie upon, and those with attributes or scores."""
    rows, file = annotations.rows(i), annotations.images.files[i]
    report_left_out(annotations, i, report)
    if annotations.images.mask_files[i] or not rows.size:
        return
    found, _ = annotations.instances(i, crowds=False)
    owner = flatten(found, np.zeros(len(found), dtype=bool))
    seen = np.bincount(owner.ravel(), minlength=len(found) + 1)[1:]
    covered = int((seen < found.areas).sum())
    if covered:
        report.change("object partly or wholly under another one", file, covered)

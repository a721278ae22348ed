"""The form that all annotation formats meet in, and the masks that are made of it.

Nothing is decoded or drawn until the masks of one image are asked for.
"""

from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from maskr.annotations.class_names import IGNORED, is_background
from maskr.annotations.columns import Category, Images, Objects
from maskr.annotations.formats import module_of
from maskr.annotations.polygons import Parts, parse, rasterise, rectangle
from maskr.arrays import IGNORE
from maskr.errors import DataError
from maskr.instances import Instances
from maskr.panoptic import Panoptic


@dataclass
class Labels:
    """The pixels of an image or volume.

    Attributes
    ----------
    classes
        int32 `[H, W]` or `[D, H, W]` class ids; IGNORE where there is none.
    objects
        int32 in the same shape: the number of the object that a pixel belongs to, 0 for none;
        None where the format does not tell objects apart.
    """

    classes: np.ndarray
    objects: np.ndarray | None = None


@dataclass
class Annotations:
    """Images with their objects and classes.

    Attributes
    ----------
    format
        The format that they were read from, which decodes their label images.
    folder
        Where the images are; "" if that is unknown.
    reading
        How label images and polygons are understood: `rasteriser` ("coco" or "pil"), `ignore`,
        `values`, `explicit_ignore`, and whatever else the format needs, as plain values.
        `renumber` replaces class ids in label images: pairs of old and new, -1 for none.
        `void` "ignore" makes pixels of no object, or of a class left out, IGNORE.
    """

    format: str
    folder: str
    images: Images
    objects: Objects
    classes: list[Category]
    reading: dict = field(default_factory=dict)

    @cached_property
    def _places(self) -> dict[int, np.ndarray]:
        order = np.argsort(self.objects.image_ids, kind="stable")
        ids, starts = np.unique(self.objects.image_ids[order], return_index=True)
        return dict(zip(ids.tolist(), np.split(order, starts[1:]), strict=False))

    def rows(self, i: int) -> np.ndarray:
        """Rows of the objects of image `i` (counted from 0), in their order."""
        return self._places.get(int(self.images.ids[i]), np.zeros(0, dtype=np.int64))

    def size(self, i: int) -> tuple[int, int]:
        """Height and width of image `i`.

        Raises
        ------
        DataError
            If they are unknown.
        """
        size = (int(self.images.heights[i]), int(self.images.widths[i]))
        if min(size) > 0:
            return size
        raise DataError(
            f'The size of the image "{self.images.files[i]}" is not known: it was not found.',
            hint="Name the folder of the images: seg_read_annotations(path, images = folder).",
            argument="images",
        )

    def image_path(self, i: int) -> Path:
        """Path of image `i`."""
        return Path(self.folder) / self.images.files[i]

    def names(self) -> dict[int, str]:
        """Class names by id."""
        return {one.id: one.name for one in self.classes}

    def things(self) -> set[int]:
        """Ids of the classes whose objects are counted."""
        named = (one for one in self.classes if not is_background(one.name))
        return {one.id for one in named if one.isthing}

    def ignored(self) -> list[int]:
        """Ids of the class whose pixels are to be ignored."""
        return [one.id for one in self.classes if one.name == IGNORED]

    def instances(self, i: int, crowds: bool = True) -> tuple[Instances, np.ndarray]:
        """Make the objects of image `i`, with or without its crowds, and give their ids.

        Those without a mask of their own (boxes) get the rectangle of their box.
        """
        if self.images.mask_files[i]:
            labels = self.labels(i)
            return from_labels(labels, self.things())
        rows = self.object_rows(i, crowds)
        return self._drawn(rows, self.size(i)), self.objects.ids[rows]

    def object_rows(self, i: int, crowds: bool = True) -> np.ndarray:
        """Rows of the objects of image `i` that `instances()` makes."""
        take, rows = self.objects, self.rows(i)
        rows = rows if crowds else rows[~take.iscrowd[rows]]
        return rows[~np.isin(take.class_ids[rows], self.ignored())]

    def _drawn(self, rows: np.ndarray, size: tuple[int, int]) -> Instances:
        take = self.objects
        rles = [take.rles[r] or "" for r in rows]
        missing = [n for n, rle in enumerate(rles) if not rle]
        outlines = [polygon_of(take, row) for row in rows[missing]]
        drawn = rasterise(outlines, size, self.reading.get("rasteriser", "coco"))
        for n, rle in zip(missing, drawn, strict=True):
            rles[n] = rle
        return Instances.from_rles(rles, size, take.class_ids[rows], take.scores[rows])

    def void(self) -> int:
        """Give the class id of pixels that belong to no object; IGNORE where they don't count.

        Raises
        ------
        DataError
            If things have class id 0, so that it can't be the background.
        """
        if self.reading.get("void") == "ignore":
            return IGNORE
        for one in self.classes:
            if is_background(one.name):
                return one.id
        if all(one.id != 0 for one in self.classes):
            return 0
        if not self.things():
            return IGNORE
        name = self.names()[0]
        raise DataError(
            f'Objects become a mask where class id 0 is the background, and here it is "{name}".',
            hint="Give classes = c(background = 0, ...) with new ids for the others.",
            argument="classes",
        )

    def labels(self, i: int) -> Labels:
        """Make the class ids and object numbers of image `i`.

        Where objects overlap, the higher score wins, and of equal or missing scores the later
        object; crowds lie below all others, and their pixels belong to no single object.
        """
        if self.images.mask_files[i]:
            module = module_of(self.format)
            found = module.labels(self, i)
            in_table = getattr(module, "CLASSES_IN_TABLE", False)
            return found if in_table else self._renumbered(found)
        rows = self.rows(i)
        found, iscrowd = self._drawn(rows, self.size(i)), self.objects.iscrowd[rows]
        owner = flatten(found, iscrowd)
        ids = np.where(np.isin(found.class_ids, self.ignored()), IGNORE, found.class_ids)
        classes = np.append(self.void(), ids).astype(np.int32)[owner]
        things = np.isin(found.class_ids, list(self.things())) & ~iscrowd
        numbers = np.append(0, np.where(things, np.arange(1, len(found) + 1), 0))
        return Labels(classes, numbers.astype(np.int32)[owner])

    def _renumbered(self, labels: Labels) -> Labels:
        pairs = self.reading.get("renumber")
        if not pairs:
            return labels
        top = max(int(labels.classes.max(initial=0)), *(int(old) for old, _ in pairs))
        table = np.arange(top + 1, dtype=np.int32)
        for old, new in pairs:
            table[int(old)] = self.void() if int(new) < 0 else int(new)
        classes = np.where(labels.classes < 0, IGNORE, table[np.maximum(labels.classes, 0)])
        dropped = np.isin(labels.classes, [int(old) for old, new in pairs if int(new) < 0])
        objects = None if labels.objects is None else np.where(dropped, 0, labels.objects)
        return Labels(classes, objects)

    def panoptic(self, i: int) -> Panoptic:
        """Make the segments of image `i`: one for each thing, one for each class of stuff.

        Pixels of things that belong to no single object are a crowd, where objects are told apart.
        """
        if self.images.mask_files[i]:
            own = getattr(module_of(self.format), "panoptic", None)
            if own is not None:
                return own(self, i)
        labels = self.labels(i)
        things = labels.objects
        things = np.zeros(labels.classes.shape, np.int32) if things is None else things
        stuff = np.where((things == 0) & (labels.classes != IGNORE), labels.classes + 1, 0)
        if self.void() != IGNORE and not any(one.id == self.void() for one in self.classes):
            stuff[labels.classes == self.void()] = 0
        first = int(things.max(initial=0)) + 1
        ids = np.where(things > 0, things, np.where(stuff > 0, stuff + first - 1, 0))
        numbers, places = np.unique(ids, return_index=True)
        places, numbers = places[numbers > 0], numbers[numbers > 0]
        classes = labels.classes.ravel()[places]
        crowd = (numbers >= first) & np.isin(classes, list(self.things()))
        return Panoptic(
            ids.astype(np.int32),
            numbers.astype(np.int32),
            classes,
            numbers < first,
            np.full(len(numbers), np.nan),
            crowd & (labels.objects is not None),
        )

    def to_r(self) -> dict:
        """Give the three tables as columns, and the rest."""
        take = self.objects
        return {
            "format": self.format,
            "folder": self.folder,
            "reading": self.reading,
            "images": {
                "id": np.array(self.images.ids, dtype=float),
                "file": self.images.files,
                "height": np.array(self.images.heights, dtype=np.int32),
                "width": np.array(self.images.widths, dtype=np.int32),
                "mask_file": self.images.mask_files,
                "split": self.images.splits,
            },
            "objects": {
                "id": take.ids.astype(float),
                "class": take.class_ids.astype(np.int32),
                "score": take.scores,
                "xmin": take.boxes[:, 0].copy(),
                "ymin": take.boxes[:, 1].copy(),
                "xmax": take.boxes[:, 2].copy(),
                "ymax": take.boxes[:, 3].copy(),
                "area": take.areas,
                "rle": take.rles,
                "image_id": take.image_ids.astype(float),
                "iscrowd": take.iscrowd,
                "polygon": take.polygons,
                "attributes": take.attributes,
            },
            "classes": [asdict(one) for one in self.classes],
        }

    @classmethod
    def from_r(cls, tables: dict) -> "Annotations":
        """Make annotations from R's tables; the inverse of `to_r()`."""
        images, objects = tables["images"], tables["objects"]
        boxes = [objects[name] for name in ("xmin", "ymin", "xmax", "ymax")]
        return cls(
            tables["format"],
            tables["folder"],
            Images(
                [int(i) for i in images["id"]],
                list(images["file"]),
                list(images["height"]),
                list(images["width"]),
                list(images["mask_file"]),
                list(images["split"]),
            ),
            Objects(
                np.array(objects["id"], dtype=float).astype(np.int64),
                np.array(objects["image_id"], dtype=float).astype(np.int64),
                np.array(objects["class"], dtype=np.int64),
                np.array(objects["score"], dtype=float),
                np.array(boxes, dtype=float).reshape(4, -1).T,
                np.array(objects["area"], dtype=float),
                np.array(objects["iscrowd"], dtype=bool),
                list(objects["rle"]),
                list(objects["polygon"]),
                list(objects["attributes"]),
            ),
            [Category(**{**one, "id": int(one["id"])}) for one in tables["classes"]],
            dict(tables["reading"]),
        )


def polygon_of(objects: Objects, row: int) -> Parts:
    """Take the polygon of an object, or the rectangle of its box."""
    text = objects.polygons[row]
    return parse(text) if text else [rectangle(objects.boxes[row].tolist())]


def flatten(found: Instances, iscrowd: np.ndarray) -> np.ndarray:
    """Tell which object owns each pixel: int32 `[H, W]` of positions from 1, 0 for none."""
    order = np.argsort(~iscrowd, kind="stable")
    rles = [found.rles[n] for n in order]
    # a crowd loses against every object, whatever its score
    scores = np.where(iscrowd, -1.0, np.nan_to_num(found.scores, nan=0.0))[order]
    owner = Instances.from_rles(rles, found.size, found.class_ids[order], scores).flatten()
    return np.append(0, order + 1).astype(np.int32)[owner]


def from_labels(labels: Labels, things: set[int]) -> tuple[Instances, np.ndarray]:
    """Make instances of the objects in a label image, and give their numbers."""
    if labels.objects is None:
        raise DataError(
            "These annotations are masks of classes, which do not tell objects apart.",
            hint="Use as_seg_mask(), or as_seg_panoptic() for segments of classes.",
            argument="annotations",
        )
    if labels.objects.ndim != 2:
        raise DataError("Instances are 2D only, and this is a volume.", argument="image")
    kept = np.where(np.isin(labels.classes, list(things)), labels.objects, 0)
    numbers, places = np.unique(kept, return_index=True)
    places, numbers = places[numbers > 0], numbers[numbers > 0]
    found = Instances.from_labels(kept, 0)
    found.class_ids = labels.classes.ravel()[places].astype(np.int32)
    return found, numbers.astype(np.int64)

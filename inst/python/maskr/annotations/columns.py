"""The tables that annotations are made of: images, objects and classes, a column for each fact.

Reading fills them and decodes nothing: an object keeps the polygon or the run lengths that its file
has, and images whose truth is a label image name that file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson

from maskr.annotations.polygons import area_of, box_of

NO_BOX = (float("nan"),) * 4


@dataclass
class Category:
    """A class; `isthing` tells countable objects from stuff, `colour` is "#RRGGBB" or ""."""

    id: int
    name: str
    supercategory: str = ""
    isthing: bool = True
    colour: str = ""


@dataclass
class Images:
    """Images, a column each.

    Attributes
    ----------
    ids
        Distinct numbers.
    files
        Names relative to the annotations' folder, with "/".
    heights, widths
        Pixels; 0 where neither the annotation nor the image tells.
    mask_files
        Paths of the label images of formats that have them, else "".
    splits
        "train", "val" and so on, or "".
    """

    ids: list[int] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    mask_files: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    def add(
        self,
        file: str,
        height: int = 0,
        width: int = 0,
        mask_file: str = "",
        split: str = "",
        id: int | None = None,
    ) -> int:
        """Append an image, and return its id: by default the next number from 1."""
        number = len(self.ids) + 1 if id is None else int(id)
        self.ids.append(number)
        self.files.append(file)
        self.heights.append(int(height))
        self.widths.append(int(width))
        self.mask_files.append(mask_file)
        self.splits.append(split)
        return number


@dataclass
class Objects:
    """Objects, a column each; the masks as polygon or as run lengths, or neither.

    Attributes
    ----------
    ids, image_ids, class_ids
        int64 `[N]`.
    scores
        float64 `[N]`; NaN where there is none.
    boxes
        float64 `[N, 4]`: xmin, ymin, xmax, ymax in pixels, 0-based and half-open.
    areas
        float64 `[N]` in pixels, as the file tells, else of the polygon or box.
    iscrowd
        bool `[N]`: regions of many objects that were not told apart.
    rles
        COCO's compressed counts, or "".
    polygons
        COCO's notation `[[x1,y1,x2,y2,...],...]` as JSON, or "".
    attributes
        Whatever else the file says of an object, as a JSON object, or "".
    """

    ids: np.ndarray
    image_ids: np.ndarray
    class_ids: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    iscrowd: np.ndarray
    rles: list[str]
    polygons: list[str]
    attributes: list[str]

    def __len__(self) -> int:
        return len(self.rles)


class ObjectTable:
    """Builds `Objects` one by one."""

    def __init__(self) -> None:
        self.rows: list[tuple] = []

    def add(
        self,
        image_id: int,
        class_id: int,
        polygon: Sequence[Sequence[float]] | None = None,
        rle: str = "",
        box: Sequence[float] | None = None,
        area: float | None = None,
        score: float = float("nan"),
        iscrowd: bool = False,
        attributes: dict | None = None,
        id: int | None = None,
    ) -> None:
        """Append an object.

        Parameters
        ----------
        polygon
            Parts, each x1, y1, x2, y2, ... in pixels.
        rle
            Compressed counts; `box` and `area` are then needed too.
        box
            xmin, ymin, xmax, ymax; by default that of the polygon.
        area
            Pixels; by default of the polygon, else of the box.
        attributes
            Anything else, kept for formats that can hold it.
        id
            By default the next number from 1.
        """
        if polygon is not None:
            box = box_of(polygon) if box is None else box
            area = area_of(polygon) if area is None else area
        box = NO_BOX if box is None else box
        if area is None:
            area = (box[2] - box[0]) * (box[3] - box[1])
        outline = (
            orjson.dumps(polygon, option=orjson.OPT_SERIALIZE_NUMPY).decode() if polygon else ""
        )
        rest = orjson.dumps(attributes).decode() if attributes else ""
        number = len(self.rows) + 1 if id is None else id
        row = (number, image_id, class_id, score, *box, area, iscrowd, rle, outline, rest)
        self.rows.append(row)

    def finish(self) -> Objects:
        """Make the columns."""
        columns = list(zip(*self.rows, strict=True)) or [()] * 13
        whole = [np.array(column, dtype=np.int64) for column in columns[:3]]
        boxes = np.array(columns[4:8], dtype=float).reshape(4, -1).T
        return Objects(
            *whole,
            np.array(columns[3], dtype=float),
            boxes,
            np.array(columns[8], dtype=float),
            np.array(columns[9], dtype=bool),
            *(list(column) for column in columns[10:]),
        )


def no_objects() -> Objects:
    """Make the empty table of formats whose objects are in label images."""
    return ObjectTable().finish()

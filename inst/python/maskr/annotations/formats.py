"""The annotation formats: what the module of one has, and which there are.

A new format is a module `annotations/<format>.py` with the functions of `Format` (and those of
`MaskFormat`, where the truth lies in label images), a line in `MODULES`, a test in
`tests/python/test_<format>.py`, and a line in the help of `seg_read_annotations()`.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from maskr.annotations.options import Progress, ReadOptions, WriteOptions
    from maskr.annotations.report import Report
    from maskr.annotations.table import Annotations, Labels
    from maskr.panoptic import Panoptic


class Format(Protocol):
    """What the module of every format has."""

    def matches(self, path: Path) -> bool:
        """Tell quickly, by names and the beginnings of files, whether `path` is of this format.

        It never raises. Formats that nothing tells from another one give False and are read only
        where they are named.
        """

    def read(self, path: Path, options: "ReadOptions", report: "Report") -> "Annotations":
        """Read the file or folder `path`, which exists, and decode nothing beyond sizes of images.

        - `Annotations.format` is the name in `MODULES`, `folder` where the images are, and
          `reading["rasteriser"]` the rule that polygons are drawn by, "coco" or "pil".
        - Class ids are the file's own. Names without ids get them by `class_names.ids_of()`.
        - Names of files pass `image_names.relative()`, polygons `polygons.usable()`.
        - A record that can be left out is counted by `report.skip()`; any other damage is a
          FormatError that names file and record, and how to mend it.
        - What `reading` holds comes back from R, where a vector of one is a scalar.
        """

    def write(
        self,
        annotations: "Annotations",
        path: Path,
        options: "WriteOptions",
        report: "Report",
        progress: "Progress",
    ) -> None:
        """Write annotations that were read from any format; a format that is only read lacks this.

        - All or nothing: by `maskr.files.atomically()` or `folder_atomically()`.
        - Objects come one by one from `items.items()`, masks from `label_writing.flat_labels()`.
        - What the format cannot hold is written the nearest way and counted by `report.change()`.
        - Folders that hold images take them along by `image_writing.copy_image()` if
          `options.copy_images`.
        - `progress(done, all)` is called once for each image.
        """


class MaskFormat(Format, Protocol):
    """What the module of a format has whose `Images.mask_files` name label images.

    The functions below get annotations that may be a part of what was read, and the row `i` of an
    image with a mask file. Modules may leave out all but `labels`.
    """

    CLASSES_IN_TABLE: bool
    """True where classes come from the table of objects and not from the files, so that
    `reading["renumber"]` is done already."""

    def labels(self, annotations: "Annotations", i: int) -> "Labels":
        """Decode class ids and object numbers, int32 `[H, W]` or `[D, H, W]`.

        Raises
        ------
        FormatError
            If the file cannot be read.
        DataError
            If it holds what is none of the classes.
        """

    def panoptic(self, annotations: "Annotations", i: int) -> "Panoptic":
        """Decode segments with ids of their own; without it they are made of `labels()`."""

    def geometry(self, annotations: "Annotations", i: int) -> dict:
        """Give `spacing` (a list, in mm) and `affine` of a volume, None where they are unknown."""


MODULES: dict[str, str] = {
    "coco_panoptic": "coco_panoptic",
    "coco_results": "coco_results",
    "coco": "coco",
    "cvat": "cvat",
    "via": "via",
    "via_csv": "via_csv",
    "labelme": "labelme",
    "voc": "voc",
    "yolo": "yolo",
    "yolo_boxes": "yolo_boxes",
    "cityscapes": "cityscapes",
    "ade20k": "ade20k",
    "ctc": "ctc",
    "camvid": "camvid",
    "sunrgbd": "sunrgbd",
    "s3dis2d": "s3dis2d",
    "nifti": "nifti",
    "labels": "label_images",
    "masks": "mask_images",
}
"""Modules by format, in the order in which they are asked whether a file is theirs."""


def module_of(name: str) -> Format:
    """Import the module of a format."""
    return importlib.import_module(f"maskr.annotations.{MODULES[name]}")

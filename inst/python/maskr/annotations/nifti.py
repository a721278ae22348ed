"""Label volumes in NIfTI: a file, a folder of them, or the layout of nnU-Net.

nnU-Net (https://github.com/MIC-DKFZ/nnUNet) and the Medical Segmentation Decathlon keep volumes in
imagesTr (imagesTs for testing), their labels under the same names in labelsTr, and the classes in
dataset.json; a volume of several scans has files that end in _0000, _0001 and so on, of which the
first stands for the image here. Without any volumes the labels stand for them. Elsewhere volumes
are matched by name, or lie in `images` beside `labels`. Without dataset.json or `classes` the ids
that occur are the classes, which takes reading all files.

Label volumes are masks of classes: they do not tell objects apart. Height and width of an image are
those of its slices, and `reading` holds the number of slices by file.

Written is nnU-Net's layout, or one file if the path ends in .nii or .nii.gz; volumes go along if
all images are some, since nnU-Net wants one for each label. Affine and spacing are
those of the label volumes, or else of the images; pixels to be ignored are 255 or 65535.
"""

import os
import shutil
from pathlib import Path, PurePosixPath

import numpy as np
import orjson

from maskr import masks
from maskr.annotations.columns import Category, Images, no_objects
from maskr.annotations.folders import common_folder
from maskr.annotations.image_writing import check_distinct
from maskr.annotations.label_writing import flat_labels, report_merged
from maskr.annotations.mask_ids import check_known, known_ids, load_ids
from maskr.annotations.mask_images import bits_for, with_background
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.table import Annotations, Labels
from maskr.arrays import IGNORE
from maskr.case_names import CHANNEL, Case, match
from maskr.cases import declared_classes, find_cases, list_volumes
from maskr.errors import DataError, FormatError
from maskr.files import atomically, folder_atomically
from maskr.volumes import is_nifti, open_volume, stem

SPLITS = (("train", "Tr"), ("test", "Ts"))
OWN_LABELS = "labels that were read without an image"


def matches(path: Path) -> bool:
    """Take NIfTI files, and folders that hold them or nnU-Net's labelsTr."""
    if path.is_file():
        return is_nifti(path.name)
    places = [path, *(path / name for name in ("labelsTr", "labelsTs", "labels", "masks"))]
    return any(is_nifti(one.name) for place in places if place.is_dir() for one in place.iterdir())


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a label volume or a folder of them.

    Raises
    ------
    FormatError
        If there is none, or volumes and labels do not match.
    DataError
        If labels hold what can't be class ids.
    MissingPackageError
        If nibabel is not installed.
    """
    found = cases_of(path, options.images)
    folder = common_folder([Path(case.images[0]) for case, _ in found])
    declared = declared_classes(path) if path.is_dir() else None
    classes, void = options.classes, None
    if classes is None and declared is not None:
        void = declared.pop("ignore", None)
        classes = declared
    images, depths = table_of(found, folder, report)
    own = options.explicit_ignore or void is None
    reading = {
        "ignore": options.ignore if own else void,
        "explicit_ignore": options.explicit_ignore or void is not None,
        "values": options.values,
        "depths": depths,
    }
    if classes is None:
        classes = {str(one): one for one in ids_in(images, reading)}
    reading["ids"] = sorted(classes.values())
    # a label volume says which class a voxel is of, and not which object
    table = [Category(number, name, isthing=False) for name, number in classes.items()]
    return Annotations("nifti", folder, images, no_objects(), table, reading)


def cases_of(path: Path, images: str | None) -> list[tuple[Case, str]]:
    """Find label volumes with their images and splits; without an image the labels stand for it."""
    if images is not None:
        return [(one, "") for one in find_cases([images], targets=[str(path)])[0]]
    if any((path / f"labels{mark}").is_dir() for _, mark in SPLITS):
        return [
            (one, split)
            for split, mark in SPLITS
            if (path / f"labels{mark}").is_dir()
            for one in cases_of_split(path, split, mark)
        ]
    if path.is_dir() and any((path / name).is_dir() for name in ("labels", "masks", "label")):
        return [(one, "") for one in find_cases([str(path)])[0]]
    labels = [one for one in list_volumes([str(path)], "path") if is_nifti(one)]
    if not labels:
        raise FormatError(f"{path} holds no NIfTI file.", argument="path")
    beside = path.parent / "images"
    if path.is_dir() and beside.is_dir():
        return [(one, "") for one in match(list_volumes([str(beside)], "images"), labels)]
    return [(one, "") for one in alone(labels)]


def cases_of_split(path: Path, split: str, mark: str) -> list[Case]:
    """Find the cases of one split of nnU-Net's layout; labels may be there without volumes."""
    volumes = path / f"images{mark}"
    if volumes.is_dir() and any(volumes.iterdir()):
        return find_cases([str(path)], split)[0]
    return alone(list_volumes([str(path / f"labels{mark}")], "path"))


def alone(labels: list[str]) -> list[Case]:
    """Let label volumes stand for their images."""
    return [Case(stem(one), (one,), one) for one in labels if is_nifti(one)]


def table_of(
    found: list[tuple[Case, str]], folder: str, report: Report
) -> tuple[Images, dict[str, int]]:
    """Make the table of images, and the number of slices by file; damaged files are reported."""
    images, depths = Images(), {}
    for case, split in found:
        try:
            shape = open_volume(case.labels).shape
        except FormatError as error:
            report.skip("label volume that cannot be read", error.text)
            continue
        file = Path(os.path.relpath(case.images[0], folder)).as_posix()
        images.add(file, *shape[-3:-1], mask_file=os.path.abspath(case.labels), split=split)
        depths[file] = shape[0] if len(shape) == 4 else 1
    if not len(images):
        raise FormatError(f"No label volume in {folder} can be read.", argument="path")
    return images, depths


def ids_in(images: Images, reading: dict) -> list[int]:
    """Find the class ids that occur in all label volumes."""
    seen: set[int] = set()
    for file in images.mask_files:
        seen.update(np.unique(load_ids(file, reading, set())).tolist())
    return sorted(seen - {IGNORE})


def labels(annotations: Annotations, i: int) -> Labels:
    """Decode the label volume of image `i`, int32 `[D, H, W]`, or `[H, W]` of a file of two axes.

    Raises
    ------
    FormatError
        If it cannot be read.
    DataError
        If it holds ids that are no class.
    """
    path = annotations.images.mask_files[i]
    known = known_ids(annotations.reading)
    return Labels(check_known(load_ids(path, annotations.reading, known), known, path))


def geometry(annotations: Annotations, i: int) -> dict:
    """Find `spacing` (a list) and `affine` of image `i`; None where they are not known."""
    places = [annotations.images.mask_files[i], str(annotations.image_path(i))]
    for place in places:
        if is_nifti(place) and Path(place).is_file():
            volume = open_volume(place)
            spacing = None if volume.spacing is None else list(volume.spacing)
            return {"spacing": spacing, "affine": volume.affine}
    return {"spacing": None, "affine": None}


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write one file, or nnU-Net's folders with dataset.json.

    Raises
    ------
    DataError
        If two images would have one name, one file shall hold several, or an id does not fit.
    """
    classes = with_background(annotations)
    if is_nifti(path.name):
        if len(annotations.images) != 1:
            raise DataError(
                f"One NIfTI file holds one image, and there are {len(annotations.images)}.",
                hint="Name a new folder instead.",
                argument="path",
            )
        atomically(str(path), lambda part: save(annotations, 0, part, classes, report))
        progress(1, 1)
        return

    def fill(folder: str) -> None:
        root = Path(folder)
        for mark in used_marks(annotations):
            (root / f"labels{mark}").mkdir()
        with_scans = options.copy_images and have_scans(annotations, report)
        for i, (name, mark) in enumerate(names_of(annotations)):
            save(annotations, i, str(root / f"labels{mark}" / f"{name}.nii.gz"), classes, report)
            if with_scans:
                copy_scan(annotations.image_path(i), root / f"images{mark}" / name)
            progress(i + 1, len(annotations.images))
        (root / "dataset.json").write_bytes(description(annotations, classes))

    folder_atomically(str(path), fill)


def used_marks(annotations: Annotations) -> list[str]:
    """List the endings of the folders that are needed."""
    tests = [split == "test" for split in annotations.images.splits]
    return [mark for mark, is_used in (("Tr", not all(tests)), ("Ts", any(tests))) if is_used]


def names_of(annotations: Annotations) -> list[tuple[str, str]]:
    """Give each image a name without folder and the ending of its folders.

    Raises
    ------
    DataError
        If two images would have the same.
    """
    names = []
    for file, split in zip(annotations.images.files, annotations.images.splits, strict=True):
        plain = stem(file)
        plain = CHANNEL.sub("", plain if plain != PurePosixPath(file).name else Path(file).stem)
        names.append((plain, "Ts" if split == "test" else "Tr"))
    check_distinct(name for name, _ in names)
    return names


def save(
    annotations: Annotations, i: int, path: str, classes: list[Category], report: Report
) -> None:
    """Write the label volume of image `i`."""
    from maskr import nifti

    found = flat_labels(annotations, i, report)
    report_merged(found, annotations.images.files[i], report)
    stored = masks.stored_values(found.classes, [one.id for one in classes], bits_for(classes))
    nifti.save(stored, path, **geometry(annotations, i))


def have_scans(annotations: Annotations, report: Report) -> bool:
    """Tell whether the images of all labels can be copied, and report those that are not."""
    missing = [missing_scan(annotations, i) for i in range(len(annotations.images))]
    if not any(missing):
        return True
    for file, reason in zip(annotations.images.files, missing, strict=True):
        if reason != OWN_LABELS:
            report.change(reason or "volume not copied, since others have none", file)
    return False


def missing_scan(annotations: Annotations, i: int) -> str:
    """Say why image `i` is no volume to be copied; "" if it is one."""
    source = annotations.image_path(i)
    if os.path.abspath(source) == annotations.images.mask_files[i]:
        return OWN_LABELS
    if not annotations.folder or not source.is_file():
        return "image that was not found, not copied"
    return "" if is_nifti(source.name) else "image that is not a NIfTI file, not copied"


def copy_scan(source: Path, place: Path) -> None:
    """Copy a volume as the first channel."""
    place.parent.mkdir(exist_ok=True)
    ending = ".nii.gz" if source.name.lower().endswith(".gz") else ".nii"
    shutil.copyfile(source, f"{place}_0000{ending}")


def description(annotations: Annotations, classes: list[Category]) -> bytes:
    """Write the dataset.json."""
    content = {
        "channel_names": {"0": "image"},
        "labels": {one.name: one.id for one in classes},
        "numTraining": sum(split != "test" for split in annotations.images.splits),
        "file_ending": ".nii.gz",
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)

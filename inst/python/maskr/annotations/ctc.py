"""Cell Tracking Challenge (http://celltrackingchallenge.net): the truth for segmentation.

A data set holds sequences `01`, `02`, ... of frames t000.tif, t001.tif, ..., and for each the gold
truth `01_GT/SEG`, or the silver truth `01_ST/SEG`, of which the gold one is read where both exist;
name the folder `01_ST` itself to read the silver one. man_seg000.tif is a 16-bit label image or
volume of frame 0; man_seg_000_012.tif is slice 12, counted from 0, of the volume of frame 0, whose
other slices are not annotated and read as ignored. Frames without a file are not annotated and not
read. Tracks (TRA) are not read.

Written is one class, as label images in `<sequence>_GT/SEG`.
"""

import contextlib
import re
from pathlib import Path, PurePosixPath

import numpy as np

from maskr import masks, tiff
from maskr.annotations.columns import Category, no_objects
from maskr.annotations.folders import Pair, first_files, no_images, table_of
from maskr.annotations.image_writing import copy_image
from maskr.annotations.label_images import decode, numbers_of, one_class, reading_of
from maskr.annotations.label_writing import flat_labels, ranks
from maskr.annotations.lost_classes import report_unnamed
from maskr.annotations.options import Progress, ReadOptions, WriteOptions
from maskr.annotations.report import Report
from maskr.annotations.strangers import RESULTS, RESULTS_HINT, is_results
from maskr.annotations.table import Annotations, Labels
from maskr.arrays import IGNORE
from maskr.case_names import FRAME
from maskr.errors import DataError, FormatError
from maskr.files import folder_atomically
from maskr.images import SUFFIXES

TRUTHS = ("GT", "ST")
FOLDER = re.compile(r"^(\d+)_(GT|ST)$")
MASK = re.compile(r"^man_seg_?(\d+)(?:_(\d+))?\.tiff?$", re.IGNORECASE)
READ_AS = Category(1, "cell")
"""The class of all objects where none is named."""

TOP = 65535
"""The largest number of an object in 16 bits."""


def matches(path: Path) -> bool:
    """Take folders that hold man_seg*.tif files, and such a file in its folder."""
    if path.is_file():
        return is_truth(path)
    return any(MASK.match(file.name) for file in first_files(path))


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read a data set, or the truth of one sequence.

    Raises
    ------
    FormatError
        If there is no truth, or a frame is missing.
    """
    classes = one_class(options, READ_AS.name)
    pairs = pairs_of(path, options.images)
    if not pairs:
        if matches(path):
            raise misplaced(path)
        results, hint = (RESULTS, RESULTS_HINT) if is_results(path) else ("", "")
        raise FormatError(
            f"There is no man_seg file in {path}. {results}".strip(), hint=hint, argument="path"
        )
    place, images = table_of(pairs, report)
    reading = reading_of(classes, options)
    reading["volumes"] = any(depth_of(pair.image, 0) > 1 for pair in pairs)
    return Annotations("ctc", place, images, no_objects(), classes, reading)


def misplaced(path: Path) -> FormatError:
    """The error of truth that does not lie where the challenge puts it."""
    file = next(file for file in first_files(path) if MASK.match(file.name))
    return FormatError(
        f"{file} is not in a folder like 01_GT/SEG, which says to which sequence it belongs.",
        hint="As the challenge has it, the truth of sequence 01 is 01_GT/SEG, and the frames are "
        "in 01 beside it: rename the folders so.",
        argument="path",
    )


def pairs_of(path: Path, images: str | None) -> list[Pair]:
    """Pair the label images of a data set, of a sequence, or the one that is named with frames."""
    if path.is_file() and is_truth(path):
        return [Pair(frame_of(path, path.parents[1], images), path)]
    return [
        Pair(frame_of(mask, truth, images), mask)
        for truth in truths(path)
        for mask in annotated(truth / "SEG")
    ]


def is_truth(path: Path) -> bool:
    """Tell a file of truth that lies where the challenge puts it."""
    place = path.absolute().parent
    known = place.name == "SEG" and FOLDER.match(place.parent.name)
    return bool(known and MASK.match(path.name))


def truths(path: Path) -> list[Path]:
    """List the folders of truth, one for each sequence."""
    path = path.absolute()
    if path.name == "SEG" and FOLDER.match(path.parent.name):
        path = path.parent
    if not path.is_dir():
        raise FormatError(
            f"{path} is a file, and the Cell Tracking Challenge's truth is a folder.",
            hint='Name the folder that holds 01 and 01_GT. Other label images are of "labels".',
            argument="path",
        )
    if FOLDER.match(path.name):
        return [path]
    found: dict[str, Path] = {}
    for folder in sorted(path.iterdir()):
        known = FOLDER.match(folder.name)
        # "GT" comes before "ST"
        if known and any((folder / "SEG").glob("man_seg*")):
            found.setdefault(known.group(1), folder)
    return list(found.values())


def annotated(folder: Path) -> list[Path]:
    """List one file for each frame that has some, in the order of time."""
    first: dict[int, Path] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        known = MASK.match(file.name)
        if known:
            first.setdefault(int(known.group(1)), file)
    return [first[time] for time in sorted(first)]


def frame_of(mask: Path, truth: Path, images: str | None) -> Path:
    """Find the image of a label image.

    Raises
    ------
    FormatError
        If there is none.
    """
    time = MASK.match(mask.name).group(1)
    sequence = FOLDER.match(truth.name).group(1)
    places = [Path(images) / sequence, Path(images)] if images else [truth.parent / sequence]
    for folder in places:
        for file in sorted(folder.glob(f"t{time}.*")):
            if file.suffix.lower() in SUFFIXES:
                return file
    there = [folder for folder in places if folder.is_dir()]
    if not there:
        raise no_images(
            f"{truth} is the truth of a sequence of the Cell Tracking Challenge, and the sequence "
            f"itself is not there: {places[0]} with the frames t{time}.tif and so on."
        )
    raise no_images(f"There is no frame t{time}.tif in {there[0]}, of which there is {mask}.")


def labels(annotations: Annotations, i: int) -> Labels:
    """Decode the label image or volume of frame `i`.

    Raises
    ------
    FormatError
        If it cannot be read.
    """
    path = Path(annotations.images.mask_files[i])
    known = MASK.match(path.name)
    if known.group(2) is None:
        return decode(str(path), annotations.reading, top_is_object=True)
    slices = {
        int(found.group(2)): decode(str(file), annotations.reading, top_is_object=True)
        for file in sorted(path.parent.iterdir())
        if (found := MASK.match(file.name)) and found.group(1) == known.group(1) and found.group(2)
    }
    return stacked(slices, depth_of(annotations.image_path(i), max(slices)), str(path))


def depth_of(image: Path, last: int) -> int:
    """Count the slices of a frame; at least those that are annotated if it can't be read."""
    if image.is_file() and tiff.is_tiff(str(image)):
        with contextlib.suppress(FormatError):
            return max(tiff.depth(str(image)), last + 1)
    return last + 1


def stacked(slices: dict[int, Labels], depth: int, path: str) -> Labels:
    """Make a volume of its annotated slices; the others are ignored."""
    sizes = {one.classes.shape for one in slices.values()}
    if len(sizes) > 1 or len(next(iter(sizes))) != 2:
        raise FormatError(f"The slices of the frame of {path} differ in size.")
    shape = (depth, *sizes.pop())
    classes = np.full(shape, IGNORE, dtype=np.int32)
    objects = np.zeros(shape, dtype=np.int32)
    for z, one in slices.items():
        classes[z], objects[z] = one.classes, one.objects
    return Labels(classes, objects)


def write(
    annotations: Annotations,
    path: Path,
    options: WriteOptions,
    report: Report,
    progress: Progress,
) -> None:
    """Write sequences and their truth into a new folder.

    The sequence is the first folder of an image's name if that is a number, else 01; the frame is
    that of names such as t012.tif, else images are counted.

    Raises
    ------
    DataError
        If objects are not told apart, or an image has too many.
    """
    places = frames(annotations)

    def save(folder: str) -> None:
        root = Path(folder)
        for i, (sequence, time) in enumerate(places):
            truth = root / f"{sequence}_GT" / "SEG"
            truth.mkdir(parents=True, exist_ok=True)
            save_frame(annotations, i, truth, time, report)
            if options.copy_images:
                copy_frame(annotations, i, root / sequence / f"t{time}", report)
            progress(i + 1, len(places))

    folder_atomically(str(path), save)
    report_unnamed(annotations, READ_AS, report)
    report_names(annotations, places, report)


def frames(annotations: Annotations) -> list[tuple[str, str]]:
    """Give each image its sequence and time."""
    files = [PurePosixPath(file) for file in annotations.images.files]
    sequences = [file.parts[0] if file.parts[0].isdigit() else "01" for file in files]
    known = [FRAME.match(file.stem) for file in files]
    if all(known):
        places = [(s, one.group(1)) for s, one in zip(sequences, known, strict=True)]
        if len(set(places)) == len(places):
            return places
    digits = max(3, len(str(len(files) - 1)))
    counts: dict[str, int] = {}
    places = []
    for sequence in sequences:
        time = counts.get(sequence, 0)
        counts[sequence] = time + 1
        places.append((sequence, f"{time:0{digits}d}"))
    return places


def report_names(annotations: Annotations, places: list[tuple[str, str]], report: Report) -> None:
    """Count the images that get other names."""
    pairs = zip(annotations.images.files, places, strict=True)
    other = [file for file, (_, time) in pairs if PurePosixPath(file).stem != f"t{time}"]
    if other:
        report.change("image whose name becomes the number of a frame", other[0], len(other))


def save_frame(annotations: Annotations, i: int, folder: Path, time: str, report: Report) -> None:
    """Save a label image or volume; where slices are ignored as a whole, the others one by one."""
    found, where = flat_labels(annotations, i, report), annotations.images.files[i]
    if found.classes.ndim == 2:
        save_numbers(numbers_of(found, annotations, where, report), folder / f"man_seg{time}.tif")
        return
    kept = np.flatnonzero((found.classes != IGNORE).any(axis=(1, 2)))
    whole = len(kept) == len(found.classes)
    if found.objects is not None:
        found = Labels(found.classes[kept], found.objects[kept])
    numbers = numbers_of(found, annotations, where, report)
    if whole:
        save_numbers(numbers, folder / f"man_seg{time}.tif")
        return
    for z, one in zip(kept, numbers, strict=True):
        save_numbers(one, folder / f"man_seg_{time}_{z:03d}.tif")


def save_numbers(numbers: np.ndarray, path: Path) -> None:
    """Save a label image or volume of 16 bits.

    Raises
    ------
    DataError
        If there are too many objects.
    """
    if numbers.max(initial=0) > TOP:
        numbers = ranks(numbers)
    if numbers.max(initial=0) > TOP:
        raise DataError(
            f"An image has {numbers.max()} objects, and {path.name} can hold {TOP}.", argument="x"
        )
    masks.save_tiff(numbers.astype(np.uint16), None, str(path))


def copy_frame(annotations: Annotations, i: int, stem: Path, report: Report) -> None:
    """Copy an image, which should be a TIFF."""
    if Path(annotations.images.files[i]).suffix.lower() not in (".tif", ".tiff"):
        report.change("image that is not a TIFF, copied as it is", annotations.images.files[i])
    copy_image(annotations, i, stem, report)

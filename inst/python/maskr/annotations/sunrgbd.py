"""SUN RGB-D (https://rgbd.cs.princeton.edu), in the forms that it is handed around in.

As its owners distribute it, every scene is a folder `kv1|kv2|realsense|xtion/.../<scene>` with the
photograph in `image/` and polygons in `annotation2Dfinal/index.json`: `frames[0].polygon` holds
lists `x` and `y` in pixels and `object`, the place, from 0, of the polygon's object in `objects`,
which has a `name` there. The names were typed freely; those of the benchmark's 37 classes count,
and pixels of other objects, or of none, are ignored. Polygons are drawn in the file's order by
COCO's rule, later ones over earlier ones. Of a scene without polygons the label image in `seg.mat`
is read, whose names count likewise.

The toolbox's `Metadata/SUNRGBD2Dseg.mat` holds the benchmark's masks (0 void, 1 to 37 the classes);
it is read where that file itself is named, with the scenes' folder beside or above the toolbox.
They were also taken out of it as PNGs (https://github.com/ankurhanda/sunrgbd-meta-data):
`sunrgbd_train_test_labels/img-000001.png` to `img-010335.png`, of which the first 5050 belong to
`SUNRGBD-test_images/` and the others, less 5050, to `SUNRGBD-train_images/`; or the same in
`label37/train|test` and `image/train|test`.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from maskr import masks
from maskr.annotations.columns import Category, Images, no_objects
from maskr.annotations.options import ReadOptions
from maskr.annotations.polygons import Parts, rasterise, usable
from maskr.annotations.report import Report
from maskr.annotations.sunrgbd_mat import (
    BENCHMARK,
    META,
    count_benchmark,
    read_benchmark,
    read_scene,
    read_splits,
    scenes_in_order,
)
from maskr.annotations.table import Annotations, Labels
from maskr.arrays import IGNORE
from maskr.documents import read_json
from maskr.errors import FormatError
from maskr.images import size_of
from maskr.instances import Instances

# fmt: off
CLASSES = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window",
    "bookshelf", "picture", "counter", "blinds", "desk", "shelves", "curtain", "dresser",
    "pillow", "mirror", "floor_mat", "clothes", "ceiling", "books", "fridge", "tv", "paper",
    "towel", "shower_curtain", "box", "whiteboard", "person", "night_stand", "toilet", "sink",
    "lamp", "bathtub", "bag",
)
# fmt: on
STUFF = {"wall", "floor", "ceiling"}

SENSORS = ("kv1", "kv2", "realsense", "xtion")
POLYGONS = "annotation2Dfinal"
MATRIX = "seg.mat"
LABELS = "sunrgbd_train_test_labels"
LAST_TEST = 5050
"""Label images up to this number belong to the test images."""

RELEASES = (
    {split: (f"SUNRGBD-{split}_images", LABELS) for split in ("train", "test")},
    {split: (f"image/{split}", f"label37/{split}") for split in ("train", "test")},
)
"""By split the folders of images and of label images."""


def matches(path: Path) -> bool:
    """Tell whether a folder is SUN RGB-D, or the benchmark's label images in files or in one."""
    if path.is_file():
        return path.name == f"{BENCHMARK}.mat"
    places = (path, path / "SUNRGBD")
    scenes = any((place / sensor).is_dir() for place in places for sensor in SENSORS)
    return scenes or release_of(path) is not None


def release_of(path: Path) -> dict[str, tuple[str, str]] | None:
    """Find the splits of label images that a folder has."""
    for release in RELEASES:
        found = {
            split: folders
            for split, folders in release.items()
            if all((path / folder).is_dir() for folder in folders)
        }
        if found:
            return found
    return None


def read(path: Path, options: ReadOptions, report: Report) -> Annotations:
    """Read the dataset's folder, that of a sensor or of one scene, or the label images' folder, or
    SUNRGBD2Dseg.mat.

    `options.classes` gives other names than the benchmark's, and their ids. Scenes that are
    damaged or have no truth are left out and reported, as are polygons of fewer than three points.

    Raises
    ------
    FormatError
        If there is no scene, or label images and photographs don't belong together.
    """
    path = Path(os.path.abspath(path))
    classes = options.classes or {name: i for i, name in enumerate(CLASSES, start=1)}
    release = release_of(path)
    if path.is_file():
        path, images = benchmark_in(path, options.images, report)
    elif release is None:
        images = scenes_in(path, {plain(name): i for name, i in classes.items()}, report)
    else:
        images = labelled_in(path, release)
    if len(images) == 0:
        raise FormatError(
            f"{path} holds no image of SUN RGB-D.",
            hint=f"A scene has its photograph in image/ and its truth in {POLYGONS}/index.json or "
            f"{MATRIX}; the label images lie in {LABELS}/ beside SUNRGBD-train_images/.",
            argument="path",
        )
    table = [Category(i, name, isthing=name not in STUFF) for name, i in classes.items()]
    return Annotations("sunrgbd", str(path), images, no_objects(), table, {"ids": dict(classes)})


def labels(annotations: Annotations, i: int) -> Labels:
    """Draw the polygons of image `i`, or read its label image."""
    file, _, number = annotations.images.mask_files[i].partition("#")
    if number:
        ids = read_benchmark(Path(file), int(number))
        return Labels(np.where(ids == 0, IGNORE, ids))
    if file.endswith(".png"):
        return Labels(masks.load(file, ignore=0, explicit=True))
    # the classes' own ids may have been replaced since
    ids = {plain(name): i for name, i in annotations.reading["ids"].items()}
    if file.endswith(".mat"):
        numbers, names = read_scene(Path(file))
        table = np.array([IGNORE, *(ids.get(plain(one), IGNORE) for one in names)], np.int32)
        return Labels(table[numbers])
    outlines, names = polygons(Path(file), Report())
    size = annotations.size(i)
    found = Instances.from_rles(rasterise(outlines, size), size, np.zeros(len(names)))
    owner = found.flatten()
    classes = np.array([IGNORE, *(ids.get(name, IGNORE) for name in names)], dtype=np.int32)[owner]
    return Labels(classes, np.where(classes == IGNORE, 0, owner).astype(np.int32))


def plain(name: str) -> str:
    """Write a name as it counts: "Night stand" is night_stand."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def polygons(file: Path, report: Report) -> tuple[list[Parts], list[str]]:
    """Read the polygons of a scene and what each is called.

    Raises
    ------
    FormatError
        If the file is not what it should be.
    """
    content = read_json(file)
    try:
        described = content["objects"] or []
        drawn = content["frames"][0]["polygon"]
        rows = [(one["object"], one["x"], one["y"]) for one in drawn]
    except (KeyError, TypeError, IndexError) as error:
        raise FormatError(f"{file} is damaged, or holds no polygons of SUN RGB-D.") from error
    outlines, names = [], []
    for number, (place, x, y) in enumerate(rows, start=1):
        where = f"{file}, polygon {number}"
        name = name_of(described, place)
        parts = usable([interleaved(x, y)], where, report)
        if name is None:
            report.skip("polygon of an object that is not described", where)
        elif parts:
            outlines.append(parts)
            names.append(plain(name))
    return outlines, names


def name_of(described: list, place: object) -> str | None:
    """Find the name of an object; some are null, and some polygons have none."""
    if not isinstance(place, int) or not 0 <= place < len(described):
        return None
    one = described[place]
    name = one.get("name") if isinstance(one, dict) else None
    return name if isinstance(name, str) else None


def interleaved(x: object, y: object) -> list:
    """Give x1, y1, x2, ...; nothing if there is one number where lists should be."""
    if not isinstance(x, list) or not isinstance(y, list) or len(x) != len(y):
        return []
    return [value for point in zip(x, y, strict=True) for value in point]


def scenes_in(path: Path, ids: dict[str, int], report: Report) -> Images:
    """List the scenes below a folder in the order of their names."""
    images = Images()
    splits = official_splits(path)
    for scene in scene_folders(path):
        photographs = sorted((scene / "image").glob("*.jpg"))
        file = truth_of(scene)
        if not photographs:
            report.skip("scene without a photograph in image/", str(scene))
        elif file is None:
            report.skip(f"scene without {POLYGONS}/index.json or {MATRIX}", str(scene))
        elif is_sound(file, ids, report):
            relative = photographs[0].relative_to(path).as_posix()
            split = splits.get(tail(scene.as_posix()), "")
            images.add(relative, *size_of(str(photographs[0])), mask_file=str(file), split=split)
    return images


def truth_of(scene: Path) -> Path | None:
    """Find the polygons of a scene, or its label image."""
    places = (scene / POLYGONS / "index.json", scene / MATRIX)
    return next((place for place in places if place.is_file()), None)


def is_sound(file: Path, ids: dict[str, int], report: Report) -> bool:
    """Tell whether a scene's truth can be read, and report names that are none of the classes."""
    try:
        if file.suffix == ".mat":
            numbers, listed = read_scene(file)
            names = [plain(listed[n - 1]) for n in np.unique(numbers[numbers > 0])]
        else:
            names = polygons(file, report)[1]
    except FormatError as error:
        report.skip(f"scene whose {file.name} is damaged", str(error))
        return False
    for name in names:
        if name not in ids:
            report.change("object that is none of the classes, ignored", f"{name} in {file}")
    return True


def scene_folders(path: Path) -> Iterator[Path]:
    """Find the folders that hold a photograph or its truth."""
    for folder, inside, files in os.walk(path):
        inside.sort()
        if {"image", POLYGONS} & set(inside) or MATRIX in files:
            inside.clear()
            yield Path(folder)


def benchmark_in(file: Path, place: str | None, report: Report) -> tuple[Path, Images]:
    """List the scenes of SUNRGBD2Dseg.mat, and give the folder that they lie in.

    Raises
    ------
    FormatError
        If SUNRGBDMeta.mat is not beside it or does not fit, or the scenes' folder is not found.
    """
    meta = file.with_name(f"{META}.mat")
    if not meta.is_file():
        raise FormatError(f"{meta} is needed too, which tells the order of scenes.")
    scenes = scenes_in_order(meta)
    if len(scenes) != count_benchmark(file):
        raise FormatError(f"{meta} and {file.name} hold different numbers of scenes.")
    root = folder_of_scenes(file, place)
    splits = official_splits(file.parent)
    images = Images()
    for number, (sequence, name) in enumerate(scenes):
        scene = tail(sequence)
        photograph = root / scene / "image" / name
        if not photograph.is_file():
            report.skip("scene without its photograph", str(photograph))
            continue
        size, split = size_of(str(photograph)), splits.get(scene, "")
        relative = photograph.relative_to(root).as_posix()
        images.add(relative, *size, mask_file=f"{file}#{number}", split=split)
    return root, images


def folder_of_scenes(file: Path, place: str | None) -> Path:
    """Find the folder that holds the sensors' ones: `place`, or one near the toolbox."""
    places = [Path(place)] if place else [*file.parents][:4]
    for one in places:
        for folder in (one, one / "SUNRGBD"):
            if any((folder / sensor).is_dir() for sensor in SENSORS):
                return folder
    raise FormatError(
        f"The scenes of {file} were not found: no folder {', '.join(SENSORS)} beside the toolbox.",
        hint="Name it: seg_read_annotations(path, images = \"SUNRGBD\").",
        argument="images",
    )


def official_splits(path: Path) -> dict[str, str]:
    """Read the split of each scene, by its `tail()`, from the toolbox beside or above the scenes.

    Empty where `SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat` is not found.
    """
    within = PurePosixPath("SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat")
    found = [place / within for place in (path, *list(path.parents)[:3])]
    file = next((place for place in found if place.is_file()), None)
    if file is None:
        return {}
    splits = read_splits(file)
    return {tail(scene): split for split, scenes in splits.items() for scene in scenes}


def tail(scene: str) -> str:
    """Give a scene's folder from the sensor on; the owners' lists begin with their machine's."""
    parts = PurePosixPath(scene).parts
    first = max((i for i, part in enumerate(parts) if part in SENSORS), default=0)
    return "/".join(parts[first:])


def labelled_in(path: Path, release: dict[str, tuple[str, str]]) -> Images:
    """List photographs with their label images."""
    images = Images()
    for split, (image_folder, label_folder) in release.items():
        files = by_number(path / label_folder, ".png")
        if label_folder == LABELS:
            files = {n: file for n, file in files.items() if (n <= LAST_TEST) == (split == "test")}
        # the training images are counted from 1 again
        if files and min(files) > LAST_TEST:
            files = {n - LAST_TEST: file for n, file in files.items()}
        for number, image in by_number(path / image_folder, ".jpg").items():
            if number not in files:
                raise FormatError(
                    f"{image} has no label image in {path / label_folder}.",
                    hint=f"Image n of the training images has the label image n + {LAST_TEST}.",
                    argument="path",
                )
            relative = image.relative_to(path).as_posix()
            mask_file = str(files[number])
            images.add(relative, *size_of(mask_file), mask_file=mask_file, split=split)
    return images


def by_number(folder: Path, ending: str) -> dict[int, Path]:
    """Find files by the number that their names end in, ascending."""
    found = {}
    for file in folder.glob(f"*{ending}"):
        number = re.search(r"(\d+)$", file.stem)
        if number:
            found[int(number[1])] = file
    return dict(sorted(found.items()))

"""SUN RGB-D (https://rgbd.cs.princeton.edu), in the two forms that it is handed around in.

As its owners distribute it, every scene is a folder `kv1|kv2|realsense|xtion/.../<scene>` with the
photograph in `image/` and polygons in `annotation2Dfinal/index.json`: `frames[0].polygon` holds
lists `x` and `y` in pixels and `object`, the place, from 0, of the polygon's object in `objects`,
which has a `name` there. The names were typed freely; those of the benchmark's 37 classes count,
and pixels of other objects, or of none, are ignored. Polygons are drawn in the file's order by
COCO's rule, later ones over earlier ones.

The benchmark's masks were taken out of its MATLAB file as PNGs (0 void, 1 to 37 the classes,
https://github.com/ankurhanda/sunrgbd-meta-data): `sunrgbd_train_test_labels/img-000001.png` to
`img-010335.png`, of which the first 5050 belong to `SUNRGBD-test_images/` and the others, less
5050, to `SUNRGBD-train_images/`; or the same in `label37/train|test` and `image/train|test`.
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
LABELS = "sunrgbd_train_test_labels"
LAST_TEST = 5050
"""Label images up to this number belong to the test images."""

RELEASES = (
    {split: (f"SUNRGBD-{split}_images", LABELS) for split in ("train", "test")},
    {split: (f"image/{split}", f"label37/{split}") for split in ("train", "test")},
)
"""By split the folders of images and of label images."""


def matches(path: Path) -> bool:
    """Tell whether a folder is SUN RGB-D, or the benchmark's label images."""
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
    """Read the dataset's folder, that of a sensor or of one scene, or the label images' folder.

    `options.classes` gives other names than the benchmark's, and their ids. Scenes that are
    damaged are left out and reported, as are polygons of fewer than three points.

    Raises
    ------
    FormatError
        If there is no scene, or label images and photographs don't belong together.
    """
    path = Path(os.path.abspath(path))
    classes = options.classes or {name: i for i, name in enumerate(CLASSES, start=1)}
    release = release_of(path)
    if release is None:
        images = scenes_in(path, {plain(name): i for name, i in classes.items()}, report)
    else:
        images = labelled_in(path, release)
    if len(images) == 0:
        raise FormatError(
            f"{path} holds no image of SUN RGB-D.",
            hint=f"A scene has its photograph in image/ and its polygons in {POLYGONS}/index.json;"
            f" the label images lie in {LABELS}/ beside SUNRGBD-train_images/.",
            argument="path",
        )
    table = [Category(i, name, isthing=name not in STUFF) for name, i in classes.items()]
    return Annotations("sunrgbd", str(path), images, no_objects(), table, {"ids": dict(classes)})


def labels(annotations: Annotations, i: int) -> Labels:
    """Draw the polygons of image `i`, or read its label image."""
    file = annotations.images.mask_files[i]
    if not file.endswith(".json"):
        return Labels(masks.load(file, ignore=0, explicit=True))
    # the classes' own ids may have been replaced since
    ids = {plain(name): i for name, i in annotations.reading["ids"].items()}
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
        file = scene / POLYGONS / "index.json"
        photographs = sorted((scene / "image").glob("*.jpg"))
        if not photographs:
            report.skip("scene without a photograph in image/", str(scene))
            continue
        try:
            names = polygons(file, report)[1]
        except FormatError as error:
            report.skip("scene whose index.json is damaged", str(error))
            continue
        for name in names:
            if name not in ids:
                report.change("object that is none of the classes, ignored", f"{name} in {file}")
        relative = photographs[0].relative_to(path).as_posix()
        split = splits.get(tail(scene.as_posix()), "")
        images.add(relative, *size_of(str(photographs[0])), mask_file=str(file), split=split)
    return images


def scene_folders(path: Path) -> Iterator[Path]:
    """Find the folders that hold polygons."""
    for folder, inside, _ in os.walk(path):
        inside.sort()
        if POLYGONS in inside:
            inside.clear()
            if (Path(folder) / POLYGONS / "index.json").is_file():
                yield Path(folder)


def official_splits(path: Path) -> dict[str, str]:
    """Read the split of each scene, by its `tail()`, from the toolbox beside or above the scenes.

    Empty where `SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat` is not found.
    """
    within = PurePosixPath("SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat")
    found = [place / within for place in (path, *list(path.parents)[:3])]
    file = next((place for place in found if place.is_file()), None)
    if file is None:
        return {}
    from scipy.io import loadmat

    try:
        content = loadmat(file, variable_names=["alltrain", "alltest"], squeeze_me=True)
        scenes = {split: np.atleast_1d(content[f"all{split}"]) for split in ("train", "test")}
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise FormatError(f"{file} is not the file of splits that it is named for.") from error
    return {tail(str(scene)): split for split, all in scenes.items() for scene in all}


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

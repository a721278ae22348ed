"""COCO's JSON (https://cocodataset.org/#format-results): results of instance segmentation.

Boxes are `[x, y, width, height]` in pixels, 0-based and half-open as in `Instances`; masks are
compressed run lengths. Class ids are COCO's categories (1 to 90 in COCO itself), and a model's
classes (0 to 79 in YOLO) are matched to them by name.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from maskr.errors import DataError, FormatError
from maskr.files import atomically
from maskr.instances import Instances

Ids = dict[str, int]


def write_results(
    path: str,
    names: Sequence[str],
    objects: Sequence[dict],
    categories: Ids | str | None = None,
    images: Ids | str | None = None,
) -> int:
    """Write what was found in each image as COCO results.

    Parameters
    ----------
    path
        The file to write.
    names
        Names of the images: file names, with or without folder and extension.
    objects
        For each image `columns` and `size` as in `Instances.from_r()`, and `classes`, ids by name.
    categories
        Category ids by class name, a COCO ground-truth file that holds them, or None to write the
        class ids as they are.
    images
        Image ids by name, a COCO ground-truth file, or None for the number that is the name.

    Returns
    -------
    int
        The number of objects written.

    Raises
    ------
    DataError
        If a class or image has no id there, or an object no score.
    FormatError
        If a ground-truth file cannot be read.
    """
    category_ids = read_ids(categories)[1] if isinstance(categories, str) else categories
    image_ids = read_ids(images)[0] if isinstance(images, str) else images
    if image_ids is not None:
        image_ids = by_any_name(image_ids)
    rows: list[dict] = []
    for name, one in zip(names, objects, strict=True):
        found = Instances.from_r(one["columns"], one["size"])
        rows += results(found, one["classes"], image_id(name, image_ids), category_ids)
    text = json.dumps(rows, allow_nan=False)
    atomically(path, lambda part: Path(part).write_text(text, encoding="utf-8"))
    return len(rows)


def results(
    found: Instances, classes: Ids, image: int, categories: Ids | None = None
) -> list[dict]:
    """Make the entries of one image, scores at full precision."""
    translate = category_of(found.class_ids.tolist(), classes, categories)
    rows = []
    for i, class_id in enumerate(found.class_ids.tolist()):
        score = float(found.scores[i])
        if score != score:
            raise DataError(
                "Results need a score for every object, and some have none.",
                hint="Scores come from a model's predictions.",
                argument="x",
            )
        xmin, ymin, xmax, ymax = found.boxes[i].tolist()
        rows.append(
            {
                "image_id": image,
                "category_id": int(translate[class_id]),
                "bbox": [xmin, ymin, xmax - xmin, ymax - ymin],
                "segmentation": {"size": list(found.size), "counts": found.rles[i]},
                "score": score,
            }
        )
    return rows


def category_of(ids: list[int], classes: Ids, categories: Ids | None) -> dict[int, int]:
    """Match class ids to category ids by name."""
    if categories is None:
        return {i: i for i in ids}
    names = {class_id: name for name, class_id in classes.items()}
    missing = sorted({str(names.get(i, i)) for i in ids if names.get(i) not in categories})
    if missing:
        raise DataError(
            f"There is no category for {', '.join(missing[:5])}"
            f"{' and others' if len(missing) > 5 else ''}.",
            hint="Leave those objects out, or name every class in `categories`.",
            argument="categories",
        )
    return {i: categories[names[i]] for i in ids}


def read_ids(path: str) -> tuple[Ids, Ids]:
    """Read image ids by file name and category ids by name from a COCO ground truth."""
    try:
        with open(path, encoding="utf-8") as file:
            truth = json.load(file)
        images = {image["file_name"]: int(image["id"]) for image in truth["images"]}
        categories = {one["name"]: int(one["id"]) for one in truth["categories"]}
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{path} is no COCO ground truth.",
            hint="That is a JSON object with images, annotations and categories.",
        ) from error
    return images, categories


def by_any_name(ids: Ids) -> dict[str, set[int]]:
    """Collect the ids that a file's full name, its name without folder, or its stem may mean."""
    found: dict[str, set[int]] = {}
    for name, number in ids.items():
        base = os.path.basename(name)
        for key in {name, base, os.path.splitext(base)[0]}:
            found.setdefault(key, set()).add(number)
    return found


def image_id(name: str, ids: dict[str, set[int]] | None) -> int:
    """Find the id of an image by its full name, else by its file's name, else by its stem."""
    base = os.path.basename(name)
    stem = os.path.splitext(base)[0]
    if ids is None:
        if stem.isascii() and stem.isdigit():
            return int(stem)
        raise DataError(
            f'The image "{name}" has no id: its name is no number.',
            hint="Give a COCO ground truth, or ids by name, as `images`.",
            argument="images",
        )
    match = next((ids[key] for key in (name, base, stem) if key in ids), set())
    if len(match) != 1:
        what = "several ids" if match else "no id"
        raise DataError(f'The image "{name}" has {what} in `images`.', argument="images")
    return next(iter(match))

"""What describes a YOLO data set: ultralytics' `data.yaml`, Darknet's `obj.data`, lists of names.

The paths in a description are the user's own words and may lead anywhere. The names of images in
list files are data, and must stay in the data set's folder.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskr.annotations.image_names import find_image, is_absolute, relative, slashed
from maskr.documents import read_text
from maskr.errors import FormatError

KEYS = {"train": ("train",), "val": ("val", "validation", "valid"), "test": ("test",)}
"""Keys of a description by split."""

NAME_FILES = ("classes.txt", "obj.names")


LARGEST = 1_000_000
"""Bytes of a description, of which the largest known, with 1,203 classes, has 26,000."""


@dataclass
class Description:
    """What a `data.yaml` or `obj.data` says.

    Attributes
    ----------
    path
        The file.
    root
        The folder that its paths start from.
    names
        Class names by number; None where it has none.
    entries
        For each split folders, list files or images.
    keypoints
        Numbers of a pose after the box, 0 for data without poses.
    keys
        For each split the key of its entries.
    """

    path: Path
    root: Path
    names: dict[int, str] | None
    entries: dict[str, list[str]]
    keypoints: int = 0
    keys: dict[str, str] = field(default_factory=dict)

    def check_names(self) -> None:
        """Raise a FormatError if two classes have one name."""
        numbers: dict[str, int] = {}
        for number, name in (self.names or {}).items():
            first = numbers.setdefault(name, number)
            if first != number:
                raise FormatError(
                    f'`names` of {self.path} has "{name}" twice: classes {first} and {number}.',
                    hint="Give one of them another name.",
                    argument="path",
                )


def description_in(folder: Path) -> Path | None:
    """Find the description in a folder: by its usual name, else by its content."""
    for name in ("data.yaml", "data.yml", "obj.data"):
        if (folder / name).is_file():
            return folder / name
    others = sorted(file for file in folder.iterdir() if file.suffix in (".yaml", ".yml"))
    return next((file for file in others if is_description(file)), None)


def is_description(path: Path) -> bool:
    """Tell whether a file describes a YOLO data set."""
    try:
        description = load_description(path)
    except FormatError:
        return False
    return bool(description.entries) and description.names is not None


def load_description(path: Path) -> Description:
    """Read a `data.yaml` or `obj.data`. Nothing is downloaded and no code is run.

    Raises
    ------
    FormatError
        If it cannot be read.
    """
    if path.suffix not in (".yaml", ".yml"):
        return read_darknet(path)
    content = load_yaml(path)
    known = {"names", "nc", *(key for keys in KEYS.values() for key in keys)}
    if not isinstance(content, dict) or not known & set(content):
        raise FormatError(
            f"{path} is not a description of a YOLO data set: it lacks `names` and `train`.",
        )
    root = Path(os.path.abspath(path.parent / slashed(scalar(content.get("path"), "path", path))))
    used = keys_of(content)
    return Description(
        path,
        # data sets get moved, and their description with them
        root if os.path.isdir(root) else path.parent,
        names_of(content.get("names"), path),
        {split: entries(content[key], key, path) for split, key in used.items()},
        pose_length(content.get("kpt_shape"), path),
        used,
    )


def keys_of(content: dict) -> dict[str, str]:
    """Find the key that each split has."""
    found = {
        split: next((key for key in keys if content.get(key)), None) for split, keys in KEYS.items()
    }
    return {split: key for split, key in found.items() if key}


def load_yaml(path: Path) -> Any:
    """Read a small YAML file without aliases, which a few lines make to grow without end."""
    import yaml

    class Plain(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("aliases (*name) are not read")
            return super().compose_node(parent, index)

    try:
        return yaml.load(read_text(path, LARGEST), Loader=Plain)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise FormatError(f"{path} cannot be read as YAML: {reason[:200]}") from error
    # what PyYAML raises for tags and values that are not what they claim to be
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"{path} cannot be read as YAML.") from error


def scalar(value: Any, key: str, path: Path) -> str:
    """Give a value as text, "" if there is none."""
    if value is None or isinstance(value, (str, int, float)):
        return "" if value is None else str(value)
    raise FormatError(f"`{key}` in {path} must be a text, not a {type(value).__name__}.")


def entries(value: Any, key: str, path: Path) -> list[str]:
    """Give the folders or files of a split."""
    several = value if isinstance(value, list) else [value]
    return [scalar(one, key, path) for one in several]


def names_of(value: Any, path: Path) -> dict[int, str] | None:
    """Give class names by number, from a list or a mapping."""
    if value is None or value == []:
        return None
    several = value if isinstance(value, list) else [value]
    pairs = value.items() if isinstance(value, dict) else enumerate(several)
    try:
        names = {int(number): scalar(name, "names", path).strip() for number, name in pairs}
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"`names` in {path} must have numbers, such as 0: person.") from error
    if min(names, default=0) < 0 or max(names, default=0) >= 2**31:
        raise FormatError(f"`names` in {path} must have numbers from 0 up.")
    return names


def pose_length(value: Any, path: Path) -> int:
    """Count the numbers of a pose: `kpt_shape` is points and numbers of each."""
    if value is None:
        return 0
    if isinstance(value, list) and len(value) == 2 and all(isinstance(n, int) for n in value):
        return value[0] * value[1]
    raise FormatError(f"`kpt_shape` in {path} must be two numbers, such as [17, 3].")


def read_darknet(path: Path) -> Description:
    """Read an `obj.data`: lines of `key = value`."""
    lines = (line.partition("=") for line in read_text(path, LARGEST).splitlines())
    content = {key.strip(): value.strip() for key, equals, value in lines if equals}
    if "names" not in content and "train" not in content:
        raise FormatError(f"{path} is not a description of a YOLO data set: it lacks `names`.")
    names = None
    if "names" in content:
        file = within(content["names"], path.parent, f"`names` of {path}")
        names = names_in(file)
    used = keys_of(content)
    found = {
        split: [str(within(content[key], path.parent, f"`{key}` of {path}"))]
        for split, key in used.items()
    }
    return Description(path, path.parent, names, found, keys=used)


def within(name: str, root: Path, record: str) -> Path:
    """Find a file of a data set; darknet's paths begin with `data/` wherever it lies, and others
    are those of another machine.
    """
    if is_absolute(name):
        return root / find_image([name], root, record)
    file = root / relative(name, root, record)
    if not os.path.exists(file) and name.startswith("data/"):
        return root / relative(name[len("data/") :], root, record)
    return file


def listed_names(root: Path) -> dict[int, str] | None:
    """Read class names, one a line, beside the folders or among the labels."""
    places = [folder / name for folder in (root, root / "labels") for name in NAME_FILES]
    file = next((place for place in places if place.is_file()), None)
    return names_in(file) if file else None


def names_in(file: Path) -> dict[int, str]:
    """Read names of one line each, numbered from 0."""
    names = (line.strip() for line in read_text(file, LARGEST).splitlines())
    return dict(enumerate(name for name in names if name))

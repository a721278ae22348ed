"""Which files are volumes, and which labels belong to them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskr import images
from maskr.documents import read_json
from maskr.errors import FormatError
from maskr.pairs import MASK_WORDS, bare
from maskr.volumes import is_dicom, is_nifti, stem

CHANNEL = re.compile(r"_\d{4}$")
"""nnU-Net's mark of one of several scans of a body: case_0000.nii.gz, case_0001.nii.gz."""
FOLDERS = (("images", "labels"), ("images", "masks"), ("image", "label"))


@dataclass(frozen=True)
class Case:
    """A volume with its labels.

    Attributes
    ----------
    name
        What to call it.
    images
        Its files or folders, one for each scan of the same grid.
    labels
        Its label file, or folder of masks; "" if there is none.
    """

    name: str
    images: tuple[str, ...]
    labels: str


def find_cases(
    root: Sequence[str], split: str | None = None, targets: Sequence[str] | None = None
) -> tuple[list[Case], dict[str, int] | None]:
    """Find volumes and their labels.

    Parameters
    ----------
    root
        Volumes; or one folder: of volumes, of one DICOM series, of a stack of slices, or with the
        folders of nnU-Net and the Medical Segmentation Decathlon (imagesTr, labelsTr,
        dataset.json), or `images` and `labels`.
    split
        "train" or "test" in nnU-Net's folders, otherwise a folder in `root`.
    targets
        The same for the labels, where `root` does not hold them.

    Returns
    -------
    list[Case]
        In the order of names, or of `root` if that names several.
    dict[str, int] | None
        Class ids by name, as a dataset.json has them.

    Raises
    ------
    FormatError
        If there is none, or labels and volumes do not match.
    """
    classes = None
    if targets is None:
        if len(root) != 1 or not Path(root[0]).is_dir():
            raise FormatError("The labels of the volumes are needed, too.", argument="targets")
        classes = declared_classes(Path(root[0]))
        pair = folders_of(Path(root[0]), split)
        root, targets = [str(pair[0])], [str(pair[1])]
    elif split is not None:
        root, targets = ([f"{one[0]}/{split}"] for one in (root, targets))
    found, labels = list_volumes(root, "root"), list_volumes(targets, "targets")
    return match(found, labels), classes


def folders_of(root: Path, split: str | None) -> tuple[Path, Path]:
    """Find the folders of volumes and labels below a data set's own.

    Raises
    ------
    FormatError
        If there are none that are known.
    """
    marks = {None: "Tr", "train": "Tr", "test": "Ts"}
    if split in marks:
        mark = marks[split]
        candidates = [(root / f"images{mark}", root / f"labels{mark}")]
    else:
        candidates = []
    inner = root / split if split else root
    candidates += [(inner / a, inner / b) for a, b in FOLDERS]
    if split:
        candidates += [(root / a / split, root / b / split) for a, b in FOLDERS]
    for pair in candidates:
        if all(one.is_dir() for one in pair):
            return pair
    raise FormatError(
        f"{root} has no folders imagesTr and labelsTr, or images and labels"
        + (f', for the split "{split}".' if split else "."),
        hint="Name the labels: seg_data_volume(root, targets = labels).",
        argument="targets",
    )


def declared_classes(root: Path) -> dict[str, int] | None:
    """Read the classes of a dataset.json: ids by name, or in older ones names by id."""
    file = root / "dataset.json"
    if not file.is_file():
        return None
    content = read_json(file)
    try:
        labels = content["labels"]
        pairs = [(k, v) if not str(k).isdigit() else (v, k) for k, v in labels.items()]
        return {str(name): int(number) for name, number in pairs}
    except (KeyError, AttributeError) as error:
        raise FormatError(f"{file} does not describe a data set: {error}") from error
    except (TypeError, ValueError):
        # nnU-Net's regions, classes made of several ids, are no classes of a mask
        return None


def list_volumes(paths: Sequence[str], argument: str) -> list[str]:
    """List volumes: the paths themselves, or those in the one folder that is given.

    Raises
    ------
    FormatError
        If there is none.
    """
    if len(paths) > 1 or not Path(paths[0]).is_dir():
        return list(paths)
    folder = Path(paths[0])
    entries = [one for one in folder.iterdir() if not one.name.startswith(".")]
    files = natural(str(one) for one in entries if one.is_file())
    found = [one for one in files if is_nifti(one)]
    if not found:
        found = [one for one in files if is_stack(one)]
    if found:
        return found
    if any(is_picture(one) or is_dicom(one) for one in files):
        return [str(folder)]
    folders = natural(str(one) for one in entries if one.is_dir())
    if folders:
        return folders
    raise FormatError(
        f"{folder} holds no volume.",
        hint="A volume is a .nii, .nii.gz or multi-page .tif file, or a folder of DICOM files or "
        "images.",
        argument=argument,
    )


def is_stack(path: str) -> bool:
    """Tell whether a file is a TIFF of several pages."""
    is_tiff = path.lower().endswith((".tif", ".tiff")) and images.is_tiff(path)
    return is_tiff and images.count_pages(path) > 1


def is_picture(path: str) -> bool:
    """Tell an image file by its name."""
    return path.lower().endswith(images.SUFFIXES)


def natural(names: Sequence[str]) -> list[str]:
    """Sort names so that "2.png" comes before "10.png"."""
    return sorted(
        names, key=lambda n: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", n)]
    )


def match(found: list[str], labels: list[str]) -> list[Case]:
    """Give each volume its labels by their names.

    Raises
    ------
    FormatError
        If one lacks the other, listing the first of them.
    """
    if len(found) == len(labels) == 1:
        return [Case(stem(found[0]), (found[0],), labels[0])]
    by_name = {stem(path): path for path in labels}
    if not {stem(path) for path in found} & set(by_name):
        by_name |= {bare(name, MASK_WORDS): path for name, path in by_name.items()}
    cases: dict[str, list[str]] = {}
    for path in found:
        name = stem(path)
        cases.setdefault(name if name in by_name else CHANNEL.sub("", name), []).append(path)
    lonely = [name for name in cases if name not in by_name]
    used = {by_name[name] for name in cases if name in by_name}
    left = [Path(path).name for path in labels if path not in used]
    if lonely or left:
        words = [f"without labels: {few(lonely)}" if lonely else "",
                 f"labels without a volume: {few(left)}" if left else ""]  # fmt: skip
        raise FormatError(
            f"Volumes and labels do not match; {'; '.join(filter(None, words))}.",
            hint="They are matched by the names of their files.",
            argument="targets",
        )
    return [Case(name, tuple(paths), by_name[name]) for name, paths in cases.items()]


def few(names: list[str]) -> str:
    """Write the first names of a list."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

"""Which files are volumes and labels, in the folders of data sets."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from maskr import images, tiff
from maskr.case_names import TRUTH, VOLUME_FOLDERS, Case, is_labels, match
from maskr.documents import read_json
from maskr.errors import FormatError
from maskr.pairs import MASK_FOLDERS
from maskr.volumes import is_dicom, is_nifti, stem

CTC_TRUTH = re.compile(r"^\d+_(?:GT|ST)$")
"""The folder of the Cell Tracking Challenge's truth for one sequence."""


def find_cases(
    root: Sequence[str], split: str | None = None, targets: Sequence[str] | None = None
) -> tuple[list[Case], dict[str, int] | None]:
    """Find volumes and their labels.

    Parameters
    ----------
    root
        Volumes; or one folder: of volumes, of one DICOM series, of a stack of slices, of patients'
        folders, or with the folders of nnU-Net and the Medical Segmentation Decathlon (imagesTr,
        labelsTr, dataset.json), or `images` and `labels`.
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
    if targets is not None:
        if split is not None:
            root, targets = ([f"{one[0]}/{split}"] for one in (root, targets))
        return match(list_volumes(root, "root"), list_volumes(targets, "targets")), None
    if len(root) != 1 or not Path(root[0]).is_dir():
        raise FormatError("The labels of the volumes are needed, too.", argument="targets")
    place = Path(root[0])
    pair = folders_of(place, split)
    if pair is None:
        found, labels = side_by_side(place, split)
    else:
        found, labels = (list_volumes([str(one)], "root") for one in pair)
    return match(found, labels), declared_classes(place)


def folders_of(root: Path, split: str | None) -> tuple[Path, Path] | None:
    """Find the folders of volumes and labels below a data set's own; None if there are none."""
    marks = {None: "Tr", "train": "Tr", "test": "Ts"}
    if split in marks:
        pair = root / f"images{marks[split]}", root / f"labels{marks[split]}"
        if all(one.is_dir() for one in pair):
            return pair
    inner = root / split if split else root
    pair = subfolder(inner, VOLUME_FOLDERS), subfolder(inner, MASK_FOLDERS)
    if split and None in pair:
        pair = tuple(
            one / split if one is not None and (one / split).is_dir() else None
            for one in (subfolder(root, VOLUME_FOLDERS), subfolder(root, MASK_FOLDERS))
        )
    return None if None in pair else pair


def subfolder(folder: Path, names: Iterable[str]) -> Path | None:
    """Find the first folder in `folder` that is called one of `names`, in any case."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return next((path for path in inner if path.name.lower() in names), None)


def side_by_side(root: Path, split: str | None) -> tuple[list[str], list[str]]:
    """Tell volumes from labels that lie in the same folder, or in the folder of each patient.

    Raises
    ------
    FormatError
        If there are not both.
    """
    place = root / split if split else root
    if not place.is_dir():
        raise no_labels(root, split)
    inner = sorted(one.name for one in place.iterdir() if one.is_dir())
    if any(map(CTC_TRUTH.match, inner)):
        raise FormatError(
            f"{root} is a data set of the Cell Tracking Challenge.",
            hint="seg_data_ctc(root) makes a dataset of it, of slices or patches of its volumes.",
            argument="root",
        )
    splits = [name for name in inner if name.lower() in ("train", "val", "valid", "test")]
    if splits:
        raise no_labels(root, split, splits)
    found = list_volumes([str(place)], "root")
    labels = [path for path in found if is_labels(path, place)]
    others = [path for path in found if path not in set(labels)]
    if not labels or not others:
        raise no_labels(root, split)
    return others, labels


def no_labels(root: Path, split: str | None, splits: Sequence[str] = ()) -> FormatError:
    """Make the error for a folder in which no labels are found."""
    hint = f'It has parts: write split = "{splits[0]}".' if splits else ""
    return FormatError(
        f"{root} has no folders imagesTr and labelsTr, or images and labels, and no labels beside "
        "its volumes" + (f', for the split "{split}".' if split else "."),
        hint=hint or "Name the labels: seg_data_volume(root, targets = labels).",
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
    if CTC_TRUTH.match(folder.name) and (folder / "SEG").is_dir():
        folder = folder / "SEG"
    found = volumes_in(folder)
    if found:
        return found
    raise FormatError(
        f"{folder} holds no volume.",
        hint="A volume is a .nii, .nii.gz or multi-page .tif file, or a folder of DICOM files or "
        "images.",
        argument=argument,
    )


def volumes_in(folder: Path) -> list[str]:
    """List the volumes in a folder, or in the folders in it; a folder may be a volume itself."""
    entries = [one for one in folder.iterdir() if not one.name.startswith(".")]
    files = natural(str(one) for one in entries if one.is_file())
    found = [one for one in files if is_nifti(one)]
    found = found or first_slices(files)
    found = found or [one for one in files if is_stack(one)]
    if found:
        return found
    if any(is_picture(one) or is_dicom(one) for one in files):
        return [str(folder)]
    inner = natural(str(one) for one in entries if one.is_dir())
    return [path for one in inner for path in volumes_in(Path(one))]


def first_slices(files: list[str]) -> list[str]:
    """List one file for each frame that has some truth of the Cell Tracking Challenge."""
    first: dict[str, str] = {}
    for file in files:
        known = TRUTH.match(stem(file))
        if known and is_picture(file):
            first.setdefault(known.group(1), file)
    return list(first.values())


def is_stack(path: str) -> bool:
    """Tell whether a file is a TIFF of several pages."""
    is_tiff = path.lower().endswith((".tif", ".tiff")) and tiff.is_tiff(path)
    return is_tiff and tiff.depth(path) > 1


def is_picture(path: str) -> bool:
    """Tell an image file by its name."""
    return path.lower().endswith(images.SUFFIXES)


def natural(names: Sequence[str]) -> list[str]:
    """Sort names so that "2.png" comes before "10.png"."""
    return sorted(
        names, key=lambda n: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", n)]
    )

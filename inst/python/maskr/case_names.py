"""Which label volumes belong to which volumes, told by the names that programs give their files.

| volumes | labels | of |
|---|---|---|
| `a.nii` | `a.nii`, `a_seg.nii`, `a-label.nii` | many programs, 3D Slicer |
| `a_0000.nii.gz`, `a_0001.nii.gz` | `a.nii.gz` | nnU-Net |
| `volume-1.nii`, `img0001.nii` | `segmentation-1.nii`, `label0001.nii` | LiTS, BTCV |
| `t000.tif` | `man_seg000.tif`, `man_seg_000_012.tif` | Cell Tracking Challenge |
| `a_t1.nii`, `a_t1ce.nii`, `a-flair.nii` | `a_seg.nii`, `a-seg.nii` | BraTS |
| `a/imaging.nii` | `a/segmentation.nii` | KiTS, and other folders of patients |
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskr.errors import FormatError
from maskr.pairs import IMAGE_FOLDERS, IMAGE_WORDS, MASK_FOLDERS, MASK_WORDS, bare
from maskr.volumes import stem

CHANNEL = re.compile(r"_\d{4}$")
"""nnU-Net's mark of one of several scans of a body: case_0000.nii.gz, case_0001.nii.gz."""
FRAME = re.compile(r"^t(\d+)$", re.IGNORECASE)
"""A frame of the Cell Tracking Challenge."""
TRUTH = re.compile(r"^man_seg_?(\d+)(?:_(\d+))?$", re.IGNORECASE)
"""Its truth; the second number is that of a slice."""
SCAN = re.compile(
    r"(?:^|[_.-])(t1|t1ce|t1c|t1gd|t1n|t1w|t2|t2w|t2f|flair|adc|dwi|pd|pet|suv|ct|cta|mr|mri)$",
    re.IGNORECASE,
)
"""The kind of scan at the end of a name, as in BraTS."""

VOLUME_WORDS = f"{IMAGE_WORDS}|volume|vol|imaging|scan"
LABEL_WORDS = f"{MASK_WORDS}|dseg|labelmap"
FOLDER_WORDS = f"{LABEL_WORDS}|st"
VOLUME_FOLDERS = IMAGE_FOLDERS | {"volume", "volumes"}
MAN = re.compile(r"^man_seg_?(?=\d)", re.IGNORECASE)


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


@dataclass(frozen=True)
class Keys:
    """Names that are equal where files belong together; `scans` tells the files of a case apart."""

    images: list[str]
    scans: list[str]
    labels: list[str]

    def fit(self) -> bool:
        """Tell whether every case has one label and scans that differ."""
        once = list(zip(self.images, self.scans, strict=True))
        return (
            set(self.images) == set(self.labels)
            and len(set(once)) == len(once)
            and len(set(self.labels)) == len(self.labels)
        )

    def hits(self) -> tuple[int, int]:
        """Count the volumes that have one label and a place of their own, and the shared keys."""
        labels, places = Counter(self.labels), Counter(zip(self.images, self.scans, strict=True))
        found = sum(labels[key] == 1 and n == 1 for (key, _), n in places.items())
        return found, len(set(self.images) & set(self.labels))


def core(name: str, words: str) -> str:
    """Take words off a name, also where it is nothing else: "imaging" is ""."""
    left = bare(name, words)
    return "" if re.fullmatch(words, left, re.IGNORECASE) else left


def without(name: str, mark: re.Pattern) -> tuple[str, str]:
    """Split a mark off the end of a name."""
    found = mark.search(name)
    return (name[: found.start()], found.group().lower()) if found else (name, "")


def in_words(name: str) -> tuple[str, str]:
    """Take words and nnU-Net's mark off the name of a volume."""
    name, scan = without(name, CHANNEL)
    return core(name, VOLUME_WORDS), scan


def of_scan(name: str) -> tuple[str, str]:
    """Take the kind of scan and words off the name of a volume."""
    name, scan = without(name, SCAN)
    return core(name, VOLUME_WORDS), scan


def in_time(name: str) -> tuple[str, str]:
    """Take the time of a frame of the Cell Tracking Challenge."""
    found = FRAME.match(name)
    return (found.group(1) if found else name), ""


def of_truth(name: str) -> str:
    """Take the time of the truth of the Cell Tracking Challenge."""
    found = TRUTH.match(name)
    return found.group(1) if found else name


def label_core(name: str) -> str:
    """Take words off the name of labels."""
    return core(MAN.sub("", name), LABEL_WORDS)


Rule = tuple[Callable[[str], tuple[str, str]], Callable[[str], str]]
RULES: tuple[Rule, ...] = (
    (lambda name: (name, ""), lambda name: name),
    (lambda name: without(name, CHANNEL), lambda name: name),
    (in_time, of_truth),
    (in_words, label_core),
    (of_scan, label_core),
)
"""From plain to bold: what volumes and their labels are called by."""


def match(found: Sequence[str], labels: Sequence[str]) -> list[Case]:
    """Give each volume its labels by their names.

    Raises
    ------
    FormatError
        If one lacks the other, listing the first of them, or a case lacks a scan of the others.
    """
    if len(found) == len(labels) == 1:
        return [Case(stem(found[0]), (found[0],), labels[0])]
    candidates = [keys_of(found, labels, rule, deep) for deep in (False, True) for rule in RULES]
    keys = next((one for one in candidates if one.fit()), None)
    if keys is None:
        raise no_match(found, labels, max(candidates, key=Keys.hits))
    check_scans(keys)
    by_key = dict(zip(keys.labels, labels, strict=True))
    cases: dict[str, list[str]] = {}
    for key, path in zip(keys.images, found, strict=True):
        cases.setdefault(key, []).append(path)
    names = case_names(cases, any(keys.scans))
    return [
        Case(name, tuple(paths), by_key[key])
        for name, (key, paths) in zip(names, cases.items(), strict=True)
    ]


def keys_of(found: Sequence[str], labels: Sequence[str], rule: Rule, deep: bool) -> Keys:
    """Make the keys of a rule, with the folders that tell cases apart where it looks so deep."""
    of_image, of_label = rule
    pairs = [of_image(stem(path)) for path in found]
    images, others = [key for key, _ in pairs], [of_label(stem(path)) for path in labels]
    if deep:
        images = [joined(*one) for one in zip(inner_folders(found), images, strict=True)]
        others = [joined(*one) for one in zip(inner_folders(labels), others, strict=True)]
    return Keys(images, [scan for _, scan in pairs], others)


def inner_folders(paths: Sequence[str]) -> list[str]:
    """Give the folders in which files differ, without words that tell volumes from labels."""
    parts = [Path(os.path.abspath(path)).parent.parts for path in paths]
    shared = len(os.path.commonprefix(parts))
    words = f"{VOLUME_WORDS}|{FOLDER_WORDS}"
    inner = ([core(part, words) for part in own[shared:]] for own in parts)
    return ["/".join(filter(None, own)) for own in inner]


def joined(folder: str, name: str) -> str:
    """Join what is there of a folder and a name."""
    return "/".join(filter(None, (folder, name)))


def case_names(cases: dict[str, list[str]], have_scans: bool) -> list[str]:
    """Call cases by their one file, or by what their scans have in common."""
    stems = [stem(paths[0]) for paths in cases.values()]
    is_own = not have_scans and len(set(stems)) == len(stems)
    return stems if is_own else list(cases)


def check_scans(keys: Keys) -> None:
    """Raise a FormatError unless all cases have the same scans, which are a model's channels."""
    scans: dict[str, set[str]] = {}
    for key, scan in zip(keys.images, keys.scans, strict=True):
        scans.setdefault(key, set()).add(scan)
    usual = Counter(map(frozenset, scans.values())).most_common(1)[0][0]
    for key, own in scans.items():
        if own != usual:
            raise FormatError(
                f'The case "{key}" has the scans {listed(own)}, and most have {listed(usual)}.',
                hint="Scans are the channels of a model's images, so each case needs all of them.",
                argument="root",
            )


def listed(scans: set[str] | frozenset[str]) -> str:
    """Write the marks of scans."""
    return ", ".join(sorted(scan.strip("_.-") or "without a mark" for scan in scans))


def no_match(found: Sequence[str], labels: Sequence[str], keys: Keys) -> FormatError:
    """Make the error that lists the first files without partner, or with several."""
    counts = Counter(keys.labels)
    lonely = [key or stem(path) for key, path in zip(keys.images, found, strict=True)
              if key not in counts]  # fmt: skip
    left = [path for key, path in zip(keys.labels, labels, strict=True) if key not in keys.images]
    twice = [path for key, path in zip(keys.labels, labels, strict=True)
             if counts[key] > 1 and key in keys.images]  # fmt: skip
    words = [
        f"{what}: {few(names)}"
        for what, names in (
            ("without labels", list(dict.fromkeys(lonely))),
            ("labels without a volume", [Path(path).name for path in left]),
            ("several labels for one volume", [Path(path).name for path in twice]),
        )
        if names
    ]
    if not words:
        words = ["several volumes have the same name"]
    return FormatError(
        f"Volumes and labels do not match; {'; '.join(words)}.",
        hint="They are matched by the names of their files, without words such as _seg or img_, "
        "or by the names of their folders.",
        argument="targets",
    )


def few(names: Sequence[str]) -> str:
    """Write the first names of a list."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def is_labels(path: str, root: Path) -> bool:
    """Tell labels that lie beside their volumes, by the words in their names and folders."""
    name = stem(path)
    inner = Path(path).relative_to(root).parts[:-1]
    return label_core(name) != name or any(part.lower() in MASK_FOLDERS for part in inner)

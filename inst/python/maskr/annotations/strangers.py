"""Files and folders that no format takes: what they are, as far as that can be told."""

import re
from itertools import islice
from pathlib import Path

from maskr.annotations.formats import MODULES, module_of
from maskr.documents import beginning
from maskr.images import SUFFIXES

HEAD = 20_000
"""Bytes of a file that are looked at."""
LOOKED_AT = 50
"""Entries of a folder that are looked at."""

FILES: tuple[tuple[str, str, str], ...] = (
    (r"<ASAP_Annotations", "an XML file of ASAP", ""),
    (r"<annotation>.*<polygon>", "an XML file of LabelMe's older web tool", ""),
    (r'"type"\s*:\s*"(?:Feature|FeatureCollection|(?:Multi)?Polygon)"',
     "a GeoJSON file, as QuPath and geographic programs write them", ""),
    (r'^\s*\[.*"(?:result|completed_by)"', "an export of Label Studio",
     "Export the project as COCO, and read that."),
    (r'^\s*\{\s*"classes".*"title"', "the meta.json of a Supervisely project",
     "Export the project as COCO, and read that."),
)  # fmt: skip
"""What the beginning of a file looks like, what it is, and what helps."""


RESULTS = (
    "It holds the results of a program for the Cell Tracking Challenge (mask000.tif, ...), which "
    "are not the truth (man_seg000.tif, ...)."
)
RESULTS_HINT = (
    "seg_read_instances() reads the files one by one, and seg_metrics() compares them with the "
    "truth's."
)


def is_results(path: Path) -> bool:
    """Tell a folder of results of the Cell Tracking Challenge by the names of its files."""
    names = (one.name for one in path.iterdir()) if path.is_dir() else ()
    return any(re.fullmatch(r"mask\d+\.tiff?", name) for name in names)


def described(path: Path) -> tuple[str, str]:
    """Say what a file or folder is, and what helps; "" where that is not known."""
    return described_folder(path) if path.is_dir() else described_file(path)


def described_file(path: Path) -> tuple[str, str]:
    """Say what a file is by its beginning."""
    head = beginning(path, HEAD).decode("utf-8", errors="replace")
    for pattern, what, hint in FILES:
        if re.search(pattern, head, re.DOTALL):
            return f"It is {what}, which is not read.", hint
    return "", ""


def described_folder(path: Path) -> tuple[str, str]:
    """Say what a folder is by the names in it, or by what one of its files or folders is."""
    if is_results(path):
        return RESULTS, RESULTS_HINT
    if any((path / name).exists() for name in (".zattrs", ".zgroup", "zarr.json")):
        return "It is an OME-Zarr image, and holds no annotations that are read.", ""
    entries = sorted(one for one in path.iterdir() if not one.name.startswith("."))[:LOOKED_AT]
    for one in entries:
        name = format_of(one) if one.is_dir() else None
        if name:
            return f'Its folder {one.name} is of the format "{name}".', "Name that folder."
    images = [one for one in entries if one.suffix.lower() in SUFFIXES]
    if entries and len(images) == len(entries):
        return "It holds images and nothing else.", ""
    documents = (one for one in entries if one.suffix.lower() in (".json", ".xml", ".geojson"))
    found = (described_file(one) for one in islice(documents, 3))
    what, hint = next(filter(any, found), ("", ""))
    return what.replace("It is", "It holds"), hint


def format_of(path: Path) -> str | None:
    """Find the format of a folder."""
    return next((name for name in MODULES if module_of(name).matches(path)), None)

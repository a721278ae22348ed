"""Looking through datasets for what would spoil training, in one pass over all files."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from maskr.datasets.probe import Probe, probe
from maskr.datasets.samples import by_word
from maskr.datasets.spec import DataSpec
from maskr.datasets.statistics import Counts, Progress, class_table, collect, each

ALIKE = 0.95
"""Cosine of the looks of two images from which they are taken for copies."""
ODD_AREA = 8.0
"""An image so many times larger or smaller than the usual one is odd."""
CHUNK = 1000
"""Images whose looks are compared with all others at a time."""


@dataclass(frozen=True)
class Finding:
    """Something that was found; `file` is "" where it is about a whole dataset."""

    severity: str
    check: str
    split: str
    file: str
    message: str


@dataclass(frozen=True)
class Split:
    """A dataset with its name, and what its samples are like."""

    name: str
    data: DataSpec
    probes: list[Probe]


def check(
    names: list[str],
    datasets: list[dict],
    backgrounds: list[int | None],
    progress: Progress | None = None,
) -> dict:
    """Look through datasets for R.

    Parameters
    ----------
    names
        Of the datasets: "train", "valid".
    datasets
        The fields of `DataSpec` of each.
    backgrounds
        The class id of each that holds nothing to be found, or None.

    Returns
    -------
    dict
        `findings`: columns severity, check, split, file, message;
        `classes`: for each dataset the columns of `statistics.class_table()`.
    """
    splits = look_at_all(names, datasets, backgrounds, progress)
    findings = [
        Finding(severity, kind, split.name, one.file, message)
        for split in splits
        for one in split.probes
        for severity, kind, message in one.problems
    ]
    for split in splits:
        findings += [*about_sizes(split), *about_channels(split), *about_ignored(split)]
    findings += [*about_units(splits), *copies(splits), *look_alikes(splits)]
    fields = ("severity", "check", "split", "file", "message")
    return {
        "findings": {name: [getattr(one, name) for one in findings] for name in fields},
        "classes": [class_table(counts_of(split)) for split in splits],
    }


def look_at_all(
    names: list[str],
    datasets: list[dict],
    backgrounds: list[int | None],
    progress: Progress | None,
) -> list[Split]:
    """Probe every sample of every dataset; progress counts them all."""
    given = [DataSpec.from_r(fields) for fields in datasets]
    everything = sum(len(data.images) for data in given)
    splits, done = [], 0
    for name, data, background in zip(names, given, backgrounds, strict=True):
        tell = None if progress is None else partial(tell_from, progress, done, everything)
        work = partial(probe_one, data, background)
        splits.append(Split(name, data, list(each(len(data.images), work, data.threads, tell))))
        done += len(data.images)
    return splits


def probe_one(data: DataSpec, background: int | None, i: int) -> Probe:
    """Probe sample `i`."""
    return probe(data, i, background)


def tell_from(progress: Progress, before: int, everything: int, done: int, _: int) -> None:
    """Report progress over several datasets."""
    progress(before + done, everything)


def about_sizes(split: Split) -> Iterator[Finding]:
    """Images of another size than the usual."""
    sized = [one for one in split.probes if one.size is not None]
    sizes = Counter(one.size for one in sized)
    if len(sizes) < 2:
        return
    areas = np.array([np.prod(one.size) for one in sized], dtype=float)
    usual = float(np.median(areas))
    for one, area in zip(sized, areas, strict=True):
        if not usual / ODD_AREA <= area <= usual * ODD_AREA:
            much = "larger" if area > usual else "smaller"
            factor = max(area / usual, usual / area)
            message = f"It has {by_word(one.size)} pixels, {factor:.0f} times {much} than usual."
            yield Finding("warning", "odd size", split.name, one.file, message)
    if split.data.size is None:
        low, high = min(sizes, key=np.prod), max(sizes, key=np.prod)
        yield Finding(
            "note",
            "sizes",
            split.name,
            "",
            f"Images have {len(sizes)} different sizes, from {by_word(low)} to {by_word(high)}. "
            "Batches are padded to their largest unless `size` is given.",
        )


def about_units(splits: list[Split]) -> Iterator[Finding]:
    """Images of 0..255 among such of 0..1, in one dataset or in several, or nothing else."""
    seen = [(split, one) for split in splits for one in split.probes if one.raw is not None]
    raw = [(split, one) for split, one in seen if one.raw]
    if not raw:
        return
    if len(raw) < len(seen):
        for split, one in raw:
            message = (
                f"It has values up to {one.largest:.4g}, and other images have fractions up to 1, "
                "as files are read. Divide it by the largest value that its kind can have."
            )
            yield Finding("error", "units", split.name, one.file, message)
        return
    for split in splits:
        if any(one.raw for one in split.probes):
            largest = max(one.largest for one in split.probes)
            message = (
                f"Images have values up to {largest:.4g}. A model that is trained on them takes no "
                "files, which are read as fractions up to 1: divide by the largest value that "
                "their kind can have, or set a window."
            )
            yield Finding("warning", "units", split.name, "", message)


def about_channels(split: Split) -> Iterator[Finding]:
    """Images with another number of channels than most, and grey images of three channels."""
    seen = [one for one in split.probes if one.channels]
    if not seen:
        return
    usual = Counter(one.channels for one in seen).most_common(1)[0][0]
    for one in seen:
        if one.channels != usual:
            message = f"It has {channel_words(one.channels)}, and most images have {usual}."
            # grey images become three channels or one; nothing else changes its number
            fits = (one.channels, usual) == (1, 3) or (one.grey and usual == 1)
            severity = "warning" if fits else "error"
            yield Finding(severity, "channels", split.name, one.file, message)
    grey = sum(one.grey for one in seen)
    colour = sum(one.channels == 3 for one in seen) - grey
    if grey and colour:
        message = f"{grey} of {grey + colour} images of three channels are grey, others in colour."
        yield Finding("note", "grey", split.name, "", message)
    elif grey:
        message = "All images of three channels are grey: one channel would do."
        yield Finding("note", "grey", split.name, "", message)


def channel_words(n: int) -> str:
    """Write a number of channels."""
    return f"{n} channel" if n == 1 else f"{n} channels"


def counts_of(split: Split) -> Counts:
    """Count the classes of the samples whose targets could be read."""
    return collect([one.pixels or {} for one in split.probes], split.data.class_ids or [])


def about_ignored(split: Split) -> Iterator[Finding]:
    """Less than half of the pixels counting."""
    counts = counts_of(split)
    ignored, total = int(counts.ignored.sum()), int(counts.per_image.sum() + counts.ignored.sum())
    if ignored > total / 2:
        message = f"{100 * ignored / total:.0f} % of all pixels are ignored."
        yield Finding("warning", "ignored", split.name, "", message)


def copies(splits: list[Split]) -> Iterator[Finding]:
    """Images with the same pixels, within a dataset and across."""
    first: dict[bytes, tuple[Split, Probe]] = {}
    for split in splits:
        for one in split.probes:
            if one.content is None:
                continue
            if one.content not in first:
                first[one.content] = split, one
                continue
            origin, other = first[one.content]
            words = f'It has the same pixels as "{other.name}"'
            if origin is not split:
                message = f"{words} of {origin.name}."
                yield Finding("error", "leak", split.name, one.file, message)
            elif one.truth != other.truth:
                message = f"{words}, but another mask."
                yield Finding("error", "duplicate", split.name, one.file, message)
            else:
                yield Finding("warning", "duplicate", split.name, one.file, f"{words}.")


def look_alikes(splits: list[Split]) -> Iterator[Finding]:
    """Images that look like an earlier one of other pixels: scaled or compressed copies."""
    seen = [(split, one) for split in splits for one in split.probes if one.look is not None]
    if len(seen) < 2:
        return
    looks = np.stack([one.look for _, one in seen]).astype(np.float32)
    for start in range(0, len(seen), CHUNK):
        cosines = np.tril(looks[start : start + CHUNK] @ looks.T, start - 1)
        for row in np.flatnonzero((cosines >= ALIKE).any(axis=1)):
            finding = likest(seen, start + row, cosines[row])
            if finding is not None:
                yield finding


def likest(seen: list[tuple[Split, Probe]], i: int, cosines: np.ndarray) -> Finding | None:
    """Name the image that image `i` looks like, rather one of another dataset."""
    split, one = seen[i]
    others = [n for n in np.flatnonzero(cosines >= ALIKE) if seen[n][1].content != one.content]
    if not others:
        return None
    origin, other = seen[max(others, key=lambda n: (seen[n][0] is not split, cosines[n]))]
    if origin is split:
        return Finding("note", "alike", split.name, one.file, f'It looks like "{other.name}".')
    message = f'It looks like "{other.name}" of {origin.name}.'
    return Finding("warning", "alike", split.name, one.file, message)

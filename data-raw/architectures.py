"""Writes inst/extdata/architectures.csv, which `seg_architectures()` reads.

All figures are of default arguments, 3 channels in and 21 classes out: parameters and multiply-adds
(half of what torch.utils.flop_counter counts), and seconds: the median of a few forward passes in
float32 on an image of 512 x 512 (volumes: 64 x 64 x 64, as many voxels).
The table is written after each architecture, so that a run that was stopped goes on by the names
that are left. Run it on a quiet machine.

    tools/run python data-raw/architectures.py [NAME...]
"""

import csv
import statistics
import sys
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "inst" / "python"))

# The package's own, not an installed one.
from maskr.architectures import registry  # noqa: E402
from maskr.published import KNOWN  # noqa: E402

TABLE = ROOT / "inst" / "extdata" / "architectures.csv"
IN_CHANNELS, OUT_CHANNELS = 3, 21
THREADS, PASSES = 2, 3


def image_of(network, device="cpu"):
    """A batch of one image with 2^18 pixels or voxels."""
    size = (64, 64, 64) if getattr(network, "dims", 2) == 3 else (512, 512)
    return torch.rand(1, IN_CHANNELS, *size, device=device)


def seconds_per_megapixel(network):
    """Median seconds of a forward pass, times four."""
    image = image_of(network)
    seconds = []
    with torch.inference_mode():
        for _ in range(PASSES + 1):
            start = time.perf_counter()
            network(image)
            seconds.append(time.perf_counter() - start)
    # the first pass also allocates
    return round(statistics.median(seconds[1:]) * 4, 2)


def multiply_adds(network):
    """Of one image, in billions; leaves the network without weights."""
    network.to("meta")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(image_of(network, "meta"))
    return round(counter.get_total_flops() / 2 / 1e9, 2)


def row_of(entry):
    """The row of an architecture in the table."""
    torch.manual_seed(1)
    network = registry.build(entry.name, IN_CHANNELS, OUT_CHANNELS).eval()
    seconds = seconds_per_megapixel(network)
    # a name may stand for several sizes of the network, under one licence
    licences = {k.name: k.licence for k in KNOWN.values() if k.architecture == entry.name}
    return {
        "name": f"seg_{entry.name}",
        "family": entry.family,
        "paper": f"{entry.authors} ({entry.year})",
        "url": entry.url,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "multiply_adds": multiply_adds(network),
        "seconds_per_megapixel": seconds,
        "encoders": ", ".join(entry.encoders),
        "weights": ", ".join(licences),
        "licence": ", ".join(licences.values()),
    }


def read():
    """The rows that are there, by name."""
    if not TABLE.exists():
        return {}
    with TABLE.open(newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def write(rows):
    """Write the rows in the registry's order."""
    order = [f"seg_{name}" for name in registry.REGISTRY]
    there = [rows[name] for name in order if name in rows]
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, there[0].keys(), lineterminator="\n")
        table.writeheader()
        table.writerows(there)


def main():
    torch.set_num_threads(THREADS)
    rows = read()
    for name in sys.argv[1:] or registry.REGISTRY:
        row = row_of(registry.REGISTRY[name])
        rows[row["name"]] = row
        write(rows)
        print(*list(row.values())[:1], *list(row.values())[4:7], flush=True)


if __name__ == "__main__":
    main()

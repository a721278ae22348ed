"""Metrics: what is counted (`confusion`) and the scores that follow from it (`semantic`)."""

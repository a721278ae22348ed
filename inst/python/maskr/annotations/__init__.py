"""Annotation files, one module for each format."""

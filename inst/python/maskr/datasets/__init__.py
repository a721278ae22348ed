"""Streaming datasets over files and arrays."""

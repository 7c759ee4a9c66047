"""Titles as sequences: windows over any length, padded batches, and windows stitched back into a title."""

"""Releases: an encoder goes live with all its heads and predictions, or not at all."""

"""The encoder: its configuration, its parts, and its checkpoint."""

"""Drift: fixed inputs, the canaries, are embedded again and again; what moved is named before it reaches a reader."""

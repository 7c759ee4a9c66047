"""Pre-training: Masked Shot Modeling, its objective, optimisers and trainer."""

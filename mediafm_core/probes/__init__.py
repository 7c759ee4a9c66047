"""Five tasks, read off frozen embeddings by linear heads: labels, folds, fitting, metrics, the report and the gate.

Pure: arrays and values in, values out. Light but for `fitting`, `heads`, `probing` and `report`, which load torch.
"""

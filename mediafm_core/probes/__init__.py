"""Five tasks, read off frozen embeddings by heads: labels, folds, fitting, metrics, the report, ablations, the gate.

Pure: arrays and values in, values out. Light but for what fits heads and loads torch: `fitting`, `learning`, `paths`,
`heads`, `probing`, `report` and `ablation`.
"""

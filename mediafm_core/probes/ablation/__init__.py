"""What each ingredient of the embeddings is worth: one row for each task and variant, and the findings that follow.

`material`, `variants`, `trees`, `rows` and `findings` are pure: arrays and encoders in, rows out, one after the other,
so that a killed run loses little. The others ask for an ablation and make it from what is stored. All but `asking`,
`outside` and `stage` load torch.
"""

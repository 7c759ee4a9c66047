"""What each ingredient of the embeddings is worth: one row for each task and variant, and the findings that follow.

Pure: arrays and encoders in, rows out, one after the other, so that a killed run loses little. Loads torch.
"""

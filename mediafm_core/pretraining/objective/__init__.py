"""The objective: what the encoder is asked about a step's pieces, and how far its answers are from what was there."""

"""Timed text: what is said in each shot, from captions, audio description or speech recognition."""

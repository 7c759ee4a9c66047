"""Timed text: what is said in each shot, from captions, audio description or speech recognition."""

from mediafm_core.timed_text.alignment import text_of_shots
from mediafm_core.timed_text.recognition import RECOGNISER, SPEECH_RECOGNITION, recognise

__all__ = ["RECOGNISER", "SPEECH_RECOGNITION", "recognise", "text_of_shots"]

"""Media: containers behind whitelists, and one decode per title, in a child process, for all who look and listen."""

from mediafm_core.media.declared import MediaInfo, probe
from mediafm_core.media.limits import Limits
from mediafm_core.media.sandbox import decode
from mediafm_core.media.working_set import SAMPLE_RATE_HZ, WorkingSet, audio_of, stills_of

__all__ = ["SAMPLE_RATE_HZ", "Limits", "MediaInfo", "WorkingSet", "audio_of", "decode", "probe", "stills_of"]

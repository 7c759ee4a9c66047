"""Shot boundaries: from a title's frames to the spans that everything else is about."""

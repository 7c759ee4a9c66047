"""MediaFM: from a film to its meaning, shot by shot."""

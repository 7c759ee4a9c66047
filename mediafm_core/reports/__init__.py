"""Pages that a person can look at: one self-contained HTML file each, without scripts and without requests."""

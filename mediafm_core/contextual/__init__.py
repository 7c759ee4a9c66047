"""Embedding in context: what each shot is, read within the whole of its title."""

"""The tests; a package, so that no other installed `tests` is found before it."""

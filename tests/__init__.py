"""The tests. A package, so that an installed folder of the same name never stands before it."""

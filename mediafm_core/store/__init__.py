"""Artifacts, the ledger that says which exist, delivered bytes, snapshots, and the pointer that readers follow."""

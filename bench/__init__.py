"""What things cost: one harness, one table of benchmarks. `python -m bench`, `python -m bench --list`."""

"""The assets, one file for each stage. Stages name their upstreams by key and never import one another."""

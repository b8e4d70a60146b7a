"""The search compared with random search, other searchers and itself without a part. `python -m benchmarks.search`."""

"""The pruning methods compared at equal cost on the miniature benchmark. `python -m benchmarks.methods` runs them."""

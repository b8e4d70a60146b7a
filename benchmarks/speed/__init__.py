"""How long the core takes, beside plain loops that give the same result. `python -m benchmarks.speed` runs them all."""

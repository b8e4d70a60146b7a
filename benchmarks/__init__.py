"""Measurements: `speed` of the core, the pruning `methods`, the `search`. Nothing imports from here."""

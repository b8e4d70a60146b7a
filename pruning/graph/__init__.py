"""The dependency graph: which channels of a network must go together, and which cannot go. Imports torch-pruning."""

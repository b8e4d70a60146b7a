"""What to remove from a network, and how. Imports torch, and torch-pruning in two files; no images, no Ray."""

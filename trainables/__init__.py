"""One trial, from the dense network to a cut one that is measured. Imports pruning, retrieval, spaces and tracking."""

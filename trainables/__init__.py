"""One trial, from the dense network to a cut and measured one. Imports pruning, retrieval, spaces and tracking."""

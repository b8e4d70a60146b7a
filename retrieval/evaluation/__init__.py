"""Evaluating descriptors: ranking, indices, the metrics of every protocol, significance."""

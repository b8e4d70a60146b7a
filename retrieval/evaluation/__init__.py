"""From descriptors to figures: ranking, indices, metrics of every protocol, significance."""

"""Training a descriptor network: losses, how batches are sampled and mined, and the loop."""

"""Networks from images to descriptors: backbones, poolings, heads, whitening, and their weights."""

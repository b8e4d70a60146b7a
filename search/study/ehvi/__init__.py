"""The sampler `ehvi`: a model of the quality proposes what promises to enlarge the front most, at its known cost."""

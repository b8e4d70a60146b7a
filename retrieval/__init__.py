"""The task to be kept alive: networks, data sets, descriptors, ranking, metrics. Knows no pruning and no Ray."""

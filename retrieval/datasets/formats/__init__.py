"""One file a data set format: each exports one `FORMAT` and is found by `retrieval.datasets.registry`."""

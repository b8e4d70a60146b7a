"""One file a loss: its formula, the module, and the `LossKind` that the table in registry.py lists."""

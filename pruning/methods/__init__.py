"""One file a pruning method: which channels go, and what happens to them during training."""

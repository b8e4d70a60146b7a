import torch

# One core, as the figures say; two threads on two shared cores would measure the neighbours.
torch.set_num_threads(1)

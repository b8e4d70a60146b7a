"""Run in a copy of the tree to which a network was added: it is built by name, described images, and can be pruned."""

import torch

from pruning.graph.groups import find_groups
from retrieval.networks.network import build_network
from trainables.settings import NetworkSettings

settings = NetworkSettings(name="plain_net", descriptor_size=8)
network = build_network(settings.name, descriptor_size=settings.descriptor_size).eval()
images = torch.randn(2, 3, 64, 64)
with torch.no_grad():
    print(tuple(network(images).shape))
print([group.width for group in find_groups(network, images)])

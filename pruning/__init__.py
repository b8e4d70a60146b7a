"""What to remove from a network, and how. Imports torch alone (torch-pruning in groups.py and surgery.py); no images, no Ray."""

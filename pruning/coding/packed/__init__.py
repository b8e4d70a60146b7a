"""The parts of a packed file: header, index, positions, codes. The way in is `pruning.coding.packing`."""

"""Weights in few bits: single weights pruned, the others quantized to codebooks, and the file that holds them."""

"""Descriptors of many images: extraction with read-ahead, and files that keep them."""

"""Descriptors of many images: extracted with read-ahead, kept on disk, read back."""

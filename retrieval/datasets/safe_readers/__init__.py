"""Readers of untrusted .mat files and pickles: they run no code of the file."""

"""Readers of .mat files and pickles from the web that run no code of theirs and bound what they allocate."""

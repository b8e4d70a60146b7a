"""Trials that train nothing: formulas and recorded tables give their results in place of a network."""

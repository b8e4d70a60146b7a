"""Checks of data sets before anything trains: can their ground truth tell networks apart, can their files be read."""

"""The miniature benchmark: places drawn from a seed, written in the format of any published data set."""

"""The documentation, what generates parts of it, and `refresh.py`, which writes the figures of the demo sweep."""

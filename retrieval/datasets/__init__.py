"""Data sets: their formats (one file each, read into the classes of base.py), and `check-data`."""

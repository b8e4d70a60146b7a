"""One file a data set format, all read into the classes of base.py."""

"""The commands of `python -m search`, one a file: its name is the command's, and so is that of its function."""

"""The command line: its commands, and what only they need."""

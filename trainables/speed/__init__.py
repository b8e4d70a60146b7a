"""The speed of networks: measured by one actor for all trials, and cached by shape."""

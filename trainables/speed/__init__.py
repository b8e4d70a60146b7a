"""How fast a network is: measured by one actor for all trials, and kept by shape."""

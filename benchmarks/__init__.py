"""Speed of the core beside plain loops, and the methods beside each other. Nothing imports from here."""

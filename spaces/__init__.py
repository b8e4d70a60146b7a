"""What a sweep may vary: dimensions, presets, and the exact way between params and a Schedule. Imports pruning."""

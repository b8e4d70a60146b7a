"""Ending trials early: multi-objective successive halving, and the Tune scheduler that asks it."""

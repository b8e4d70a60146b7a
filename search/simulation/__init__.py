"""Sweeps in virtual time, without Ray and without training."""

"""Sums to intervals and tests: plain numbers, no torch."""

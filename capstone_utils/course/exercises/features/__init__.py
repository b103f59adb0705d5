"""Exercises of notebook 2."""

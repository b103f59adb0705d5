"""Exercises of notebook 1."""

"""Exercises of notebook 3."""

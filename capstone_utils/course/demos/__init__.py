"""Demonstrations for the notebooks."""

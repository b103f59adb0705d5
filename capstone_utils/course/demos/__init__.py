"""Scenes that the notebooks act out."""

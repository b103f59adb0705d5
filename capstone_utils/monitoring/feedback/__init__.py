"""Scores joined with the labels that arrive for them, and the quality of the verdicts that follows from it."""

"""Evaluation of a model on labelled transactions."""

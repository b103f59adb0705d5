"""Streaming fraud detection: a card payment's way from the stream to a monitored decision, one folder a notebook."""

__version__ = "1.0.0"

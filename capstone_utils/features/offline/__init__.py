"""Features of a whole frame at once, for training."""

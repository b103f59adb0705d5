"""Floor 2: the features, computed one transaction at a time or over a whole history, with equal results."""

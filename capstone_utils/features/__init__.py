"""Floor 2: what the features are, computed one transaction at a time and over a whole history, with equal results."""

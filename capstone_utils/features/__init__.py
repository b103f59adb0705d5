"""Floor 2: the features, one transaction at a time or over whole histories, equal."""

"""Labs of notebook 1: the log and its consumers."""

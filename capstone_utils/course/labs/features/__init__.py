"""Labs of notebook 2: features and clocks."""

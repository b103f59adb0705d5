"""A model: its files, its versions, and its verdicts."""

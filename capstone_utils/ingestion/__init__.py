"""Floor 1: the simulated stream, its fraud and its labels; the broker and the topics that carry it."""

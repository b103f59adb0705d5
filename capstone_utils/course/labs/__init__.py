"""Failure labs: the learner breaks a part of the real system, watches it, mends it and proves that it is mended."""

"""Training: splits by time, boosters, thresholds, the fallback."""

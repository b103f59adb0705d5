"""Labs of notebook 4: gauges, and what they do not see."""

"""Exercises of notebook 4: gauges, alerts, drift and the gate."""

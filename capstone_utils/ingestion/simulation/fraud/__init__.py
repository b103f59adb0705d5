"""Fraud in the simulated stream, scenario by scenario."""

"""Drift of the stream, watched with a budget of false alarms; and the measures behind it."""

from capstone_utils.monitoring.drift.measures import drift_report

__all__ = ["drift_report"]

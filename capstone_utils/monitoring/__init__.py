"""Floor 4: Prometheus, alerts and dashboards over the running service, and the drift of what it sees."""

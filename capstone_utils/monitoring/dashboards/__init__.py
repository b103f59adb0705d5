"""Grafana dashboards, drawn without Grafana."""

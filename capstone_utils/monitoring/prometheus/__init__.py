"""Prometheus: server, client and rules."""

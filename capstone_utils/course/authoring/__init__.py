"""Commands that keep the repository: run, check, refresh, report."""

"""Features from state per user, one transaction after the other."""

"""The state of the HTTP service: users, journal, parity."""

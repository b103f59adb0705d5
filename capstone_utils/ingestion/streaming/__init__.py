"""Topics: producing, reading, dead letters."""

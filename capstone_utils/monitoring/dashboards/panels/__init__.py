"""The panels of a dashboard, drawn with matplotlib."""

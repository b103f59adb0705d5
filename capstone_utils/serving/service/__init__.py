"""The HTTP service: POST /predict/ and POST /score."""

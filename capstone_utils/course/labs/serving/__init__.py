"""Labs of notebook 3: the model and the service."""

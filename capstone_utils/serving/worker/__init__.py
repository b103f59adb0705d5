"""The stream worker: payments from a topic, scores into another, nothing lost and nothing twice."""

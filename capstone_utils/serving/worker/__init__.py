"""The stream worker: transactions from a topic, scores into another, nothing lost and nothing twice."""

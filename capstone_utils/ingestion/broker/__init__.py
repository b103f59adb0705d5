"""Floor 1: a real Kafka broker on this machine, from verified jars."""

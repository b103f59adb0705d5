"""The same features on Spark, for many machines, batch and stream."""

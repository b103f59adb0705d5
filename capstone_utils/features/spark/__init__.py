"""The same features on Spark, for more than one machine: batch over parquet, and Kafka to Kafka."""

"""The same features on Spark, for those who outgrow one machine: batch over parquet, and Kafka to Kafka."""

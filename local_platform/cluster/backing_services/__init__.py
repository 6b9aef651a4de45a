"""Services that the platform on a cluster depends on: PostgreSQL, a bucket, MLflow's users, and their passwords."""

"""What the platform on a cluster leans on: PostgreSQL, a bucket, MLflow's users and the passwords of all."""

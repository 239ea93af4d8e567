"""What MLflow kept elsewhere comes in, and what we keep goes out again, with its ids."""

"""The client side of tracking: what a training imports beside MLflow's own client."""

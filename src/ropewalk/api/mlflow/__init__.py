"""The door for MLflow's own clients: its REST protocol, unmodified, on our rooms."""

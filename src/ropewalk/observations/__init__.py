"""What the world did: labels, drift, quality and the alerts that they raise."""

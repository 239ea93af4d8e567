"""What the world did: labels, reports, drift, quality and the alerts that they raise."""

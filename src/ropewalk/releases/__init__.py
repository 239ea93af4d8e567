"""Whether a model may serve: bundles, the nine stages, approvals, traffic and canaries."""

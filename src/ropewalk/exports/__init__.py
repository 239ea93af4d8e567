"""Exports: a pipeline written out for an orchestrator, as plain files in which each node runs one step of ours."""

"""Searches over a pipeline's arguments: each trial a run of its own, the whole a run that is their parent."""

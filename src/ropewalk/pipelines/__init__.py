"""What to run: steps, the graph they make, the cache that knows their code, and the walk over it."""

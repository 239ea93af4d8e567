"""Rows: a thin port that runs named queries, with SQLite or PostgreSQL behind it."""

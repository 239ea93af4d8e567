"""Rows: a thin port that runs named queries, with SQLite behind it."""

"""Loops read the end of the line and move its beginning."""

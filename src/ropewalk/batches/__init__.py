"""Scoring of whole files and tables: what was asked, how far it is, and what came out."""

"""Addresses that are told of changes in the registry: whom, of what, signed how, and what became of it."""

"""Clients of one endpoint, written from its contract: a file of Python, or one of TypeScript, that needs nothing."""

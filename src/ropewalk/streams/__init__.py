"""Topics that are scored: each message once, with its answer published and captured."""

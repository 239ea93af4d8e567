"""Who may do what: users, their roles per project and environment, tokens, sessions, and the record of all of it."""

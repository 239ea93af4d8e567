"""What people change in the console: each act is a row with its form, and goes through the same rooms as the API."""

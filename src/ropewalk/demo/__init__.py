"""The year 2013 played through the whole line: what a newcomer sees first, and the test that all of it holds."""

"""What watches a script from inside its own process: standard library alone, and never in the script's way."""

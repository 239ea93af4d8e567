"""What happened: runs, what they logged, and the ways to find, compare and restore them."""

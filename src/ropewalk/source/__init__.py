"""What the code was: commit, files, environment."""

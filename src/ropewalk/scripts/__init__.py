"""Scripts that nobody may touch: run as they are, watched, and recorded as runs."""

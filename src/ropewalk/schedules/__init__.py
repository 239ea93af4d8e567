"""What starts pipelines by itself: schedules, each start of theirs exactly once, and backfills."""

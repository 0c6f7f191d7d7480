"""What became of each task, by all who can know it."""

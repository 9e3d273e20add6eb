"""What a right answer is, for each kind of task."""

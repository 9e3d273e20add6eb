"""Source-task examples: read, identified, and put into batches."""

"""trace: the forgetting curve over the checkpoints of a run."""

"""Named tensors to a network that can run, and what its layers are."""

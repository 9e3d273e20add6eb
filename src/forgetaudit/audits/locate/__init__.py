"""locate: which parts of the network carry the loss."""

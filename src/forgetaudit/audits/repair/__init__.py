"""repair: what wins back what was lost, chosen on one half of the examples and confirmed on the other."""

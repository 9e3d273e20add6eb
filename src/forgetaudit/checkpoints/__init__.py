"""Files to named tensors, read lazily, never running code."""

"""Tensors to mergeable float64 sums: streaming, pure, knowing nothing of models."""

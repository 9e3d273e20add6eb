"""Readers of the per-example logs that other evaluators write. No torch, no datasets."""

"""Tells what a fine-tuned checkpoint forgot, where it sits in the network, and whether the loss is real."""

__version__ = "0.1.0"

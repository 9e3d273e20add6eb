"""Blocks to the forms in which they are read: a terminal, Markdown, HTML."""

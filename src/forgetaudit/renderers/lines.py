"""Styled lines: what a screen is made of."""

__all__ = ["LABEL", "Line"]

# (text, style) pieces; a style is a key of STYLES in the terminal renderer.
Line = list[tuple[str, str]]

# The width of the first column.
LABEL = 14

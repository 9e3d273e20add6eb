"""Text that Markdown shows as it is. What could be markup, a link, a mention or a picture stands in a code span.

Entities and backslashes are not enough on GitHub: mentions, references and addresses are linked after the text was
read, but never in code.
"""

import re

from forgetaudit.renderers.escapes import clipped, printable

__all__ = ["code", "prose"]

# What no Markdown of GitHub reads as anything else inside a line, beside letters and digits.
_PLAIN = set(".,;:()%'\"/+-–−…·‖₀₁→=≈≤≥?§×Δθδ²")
_LINKED = re.compile(r"://|^www\.|^GH-\d|:[\w+-]+:", re.IGNORECASE)
_EDGES = re.compile(r"([(\"']*)(.*?)([),.;:\"']*)", re.DOTALL)
_COMPARISON = re.compile(r"<=?|>=?|<[0-9.]+")


def code(text: str, most: int = 200) -> str:
    """A name out of a file, in a code span; nothing ends it, and no pipe in it ends the cell of a table."""
    shown = clipped(printable(text), most).replace("`", "\\x60").replace("|", "\\x7c")
    return f"`{shown}`" if shown.strip() else ""


def prose(text: str, most: int = 600) -> str:
    """A sentence of ours that may hold names out of files: every word that is not plain stands in a code span."""
    return " ".join(_word(word) for word in clipped(printable(text), most).split(" "))


def _word(word: str) -> str:
    if _COMPARISON.fullmatch(word):
        return word.replace("<", "&lt;").replace(">", "&gt;")
    if _is_plain(word):
        return word
    before, inner, after = _EDGES.fullmatch(word).groups()  # type: ignore[union-attr]  # it matches anything
    return f"{before}{code(inner)}{after}" if inner else word


def _is_plain(word: str) -> bool:
    return all(char.isalnum() or char in _PLAIN for char in word) and not _LINKED.search(word)

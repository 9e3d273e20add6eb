"""A report inside a page: written as JSON into an element that no browser shows or runs, and read back exactly."""

import base64
import bz2
import json
import re

__all__ = ["ELEMENT", "embedded", "extracted"]

ELEMENT = "forgetaudit-report"
# Up to here as plain JSON, which other programs find; beyond compressed, so that large reports stay small pages.
_MOST_PLAIN = 100_000
# Four fifths of what zlib makes of a table of numbers.
_PACKED = "bz2+base64"
# More than any report has; a page from elsewhere may unfold without end.
_MOST_UNFOLDED = 512 * 1024 * 1024

_FOUND = re.compile(rf'<template id="{ELEMENT}" data-encoding="([a-z0-9+]+)">([^<]*)</template>')


def embedded(report_json: str) -> tuple[str, str]:
    """`report_json` as (encoding, text): ASCII without a character that HTML reads as anything else."""
    dense = json.dumps(json.loads(report_json), ensure_ascii=True, separators=(",", ":"))
    for char in "<>&":
        # They stand in strings only, where this is the same character.
        dense = dense.replace(char, f"\\u{ord(char):04x}")
    if len(dense) <= _MOST_PLAIN:
        return "json", dense
    return _PACKED, base64.b64encode(bz2.compress(dense.encode("ascii"))).decode("ascii")


def extracted(page: str) -> str | None:
    """The JSON in a page that holds a report; None for other pages. ValueError where it is damaged."""
    # Texts in a page are escaped, so that the element itself cannot stand in one.
    found = _FOUND.search(page)
    if found is None:
        return None
    encoding, text = found.groups()
    if encoding == "json":
        return text
    if encoding != _PACKED:
        raise ValueError(f"its encoding {encoding} is unknown")
    try:
        unfolding = bz2.BZ2Decompressor()
        unfolded = unfolding.decompress(base64.b64decode(text, validate=True), _MOST_UNFOLDED)
        if not unfolding.eof:
            raise ValueError("it is cut off, or larger than any report")
        return unfolded.decode("ascii")
    except (OSError, ValueError) as error:
        raise ValueError(f"what it holds is damaged: {error}") from error

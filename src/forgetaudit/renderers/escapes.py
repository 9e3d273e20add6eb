"""Text out of files, made harmless: names, labels and samples can hold anything, and no reader of a report obeys it.

`printable` is the first step everywhere. What follows is each format's own: HTML and XML are escaped by the libraries
that write them, Markdown in `markdown_text`, the rest here.
"""

__all__ = ["clipped", "for_github_message", "for_github_property", "for_spreadsheet", "printable"]


def printable(text: str) -> str:
    """Control characters shown as escapes: no terminal, XML parser or reader from right to left obeys them.

    So are the two ways in which a line of a log is a command to GitHub's runner: `::` at its start, `##[` anywhere.
    """
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    if shown.lstrip().startswith("::"):
        shown = shown.replace("::", "\\x3a:", 1)
    return shown.replace("##[", "##\\x5b")


def clipped(text: str, most: int) -> str:
    """At most `most` characters, and how many more there were."""
    return text if len(text) <= most else f"{text[:most]}… {len(text) - most:,} more characters"


def for_github_message(text: str) -> str:
    """The message of a workflow command: one line, in which per cent signs are data."""
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def for_github_property(text: str) -> str:
    """A property of a workflow command: separators are data, too."""
    return for_github_message(text).replace(":", "%3A").replace(",", "%2C")


def for_spreadsheet(text: str) -> str:
    """A cell that no spreadsheet reads as a formula: those get an apostrophe (OWASP, CSV injection)."""
    shown = printable(text)
    return f"'{shown}" if shown.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")) else shown

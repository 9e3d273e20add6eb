"""How tests look at a page: its tags and texts, a table by its caption, and a report with every name exchanged."""

import json
import re
from html.parser import HTMLParser
from typing import Any

from forgetaudit.renderers.html import html
from forgetaudit.report.report import AuditReport


class Page(HTMLParser):
    """The tags of a page, and the rows of its tables by their captions."""

    def __init__(self, report: AuditReport) -> None:
        super().__init__()
        self.text = html(report)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.words: list[str] = []
        self.inside: list[str] = []
        self.caption = ""
        self.facts: list[tuple[str, str]] = []
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("caption", "style", "template", "figure", "title"):
            self.inside.append(tag)
        if tag == "tr" and self.caption:
            self.tables[self.caption].append([])
        if tag in ("dt", "dd"):
            self.inside.append(tag)
        if tag == "dt":
            self.facts.append(("", ""))
        if tag in ("td", "th") and self.caption:
            self.tables[self.caption][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()
        if tag == "table":
            self.caption = ""

    def handle_data(self, data: str) -> None:
        if self.inside[-1:] in (["dt"], ["dd"]):
            label, words = self.facts.pop()
            self.facts.append((label + data, words) if self.inside[-1] == "dt" else (label, words + data))
        if self.inside[-1:] == ["caption"]:
            self.caption = data
            self.tables[data] = []
        elif self.inside[-1:] not in (["style"], ["template"]):
            self.words.append(data)
            if self.caption and self.tables[self.caption] and self.tables[self.caption][-1]:
                self.tables[self.caption][-1][-1] += data.strip()

    def rows(self, caption: str) -> list[dict[str, str]]:
        head, *rows = self.tables[caption]
        return [dict(zip(head, row, strict=True)) for row in rows]

    def classes(self, tag: str) -> list[str]:
        return [attrs.get("class") or "" for name, attrs in self.tags if name == tag]

    def skeleton(self) -> list[tuple[str, list[str]]]:
        return [(tag, list(attrs)) for tag, attrs in self.tags]


def renamed(report: AuditReport, names: dict[str, str]) -> AuditReport:
    """Every text that is exactly one of `names` becomes another, keys of dictionaries included."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                names.get(key, key): one if key in ("kind", "stage") else walk(one)
                for key, one in value.items()
            }
        if isinstance(value, list):
            return [walk(one) for one in value]
        return names.get(value, value) if isinstance(value, str) else value

    return AuditReport.model_validate(walk(json.loads(report.to_json())))


def told(page: Page) -> str:
    return re.sub(r"\s+", " ", " ".join(page.words))

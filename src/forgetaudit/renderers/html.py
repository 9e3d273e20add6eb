"""The report as one HTML file: inline CSS and SVG, no scripts, nothing from elsewhere, and the report itself inside.

Everything that is shown goes through jinja2's autoescape; only the embedded report does not, which has no character
that HTML reads as anything else.
"""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from forgetaudit.renderers import charts, drawing
from forgetaudit.renderers.compose import compose
from forgetaudit.renderers.document import Bar, Caps, Span
from forgetaudit.renderers.escapes import clipped, printable
from forgetaudit.report.embedding import ELEMENT, embedded
from forgetaudit.report.report import AuditReport

__all__ = ["html"]

_CAPS = Caps(
    classes=100,
    layers=400,
    tensors=25,
    rules=200,
    findings=50,
    facts=40,
    examples=50,
    checkpoints=150,
    parts=100,
    remedies=150,
)
_LONGEST_TEXT = 1_000
# Checked where the table is made; longer than any text.
_PICTURE = "data:image/png;base64,"


def html(report: AuditReport, exit_note: str = "") -> str:
    """The page. What is left out of a large report is counted where it is; the embedded report is whole."""
    page = compose(report, _CAPS, exit_note)
    encoding, data = embedded(report.to_json())
    return _template().render(page=page, element=ELEMENT, encoding=encoding, data=data)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("forgetaudit.renderers"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.tests["bar"] = lambda mark: isinstance(mark, Bar)
    environment.tests["span"] = lambda mark: isinstance(mark, Span)
    environment.filters["within"] = drawing.within
    environment.filters["bar_width"] = drawing.bar_width
    environment.filters["axis"] = drawing.axis
    environment.filters["drawn"] = charts.drawn
    environment.globals["height"] = charts.HEIGHT
    environment.filters["strip"] = drawing.strip
    return environment.get_template("report.html.j2")


def _shown(value: object) -> object:
    """A text out of a report, before it is escaped; what the template's own macros made is whole already."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return value if value.startswith(_PICTURE) else clipped(printable(value), _LONGEST_TEXT)
    return value

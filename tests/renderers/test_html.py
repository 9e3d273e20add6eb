"""The page: one file, nothing from elsewhere, nothing out of a report obeyed, readable by all, and the report inside."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.renderers import hostile
from tests.report import builders

from forgetaudit.errors import UsageError
from forgetaudit.judge.gate import judge
from forgetaudit.judge.saved import load_report
from forgetaudit.policy import Policy
from forgetaudit.renderers.escapes import printable
from forgetaudit.renderers.html import html
from forgetaudit.report import embedding
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport

VOID = {"meta", "img", "br", "line", "rect", "circle", "path", "link", "input", "hr"}
CSS = Path(__file__).parents[2] / "src" / "forgetaudit" / "renderers" / "templates" / "report.css"


class Page(HTMLParser):
    """Every tag with its attributes, every text, and whether all that was opened was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "template"):
            self.texts.append(data)

    def named(self, *tags: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag in tags]


def plain(**parts: Any) -> AuditReport:
    measured: dict[str, Any] = {
        "source": (builders.source(30, 5, 500),),
        "features": (builders.features(builders.drift("block1", 0.9)),),
        "weights": (builders.weights(builders.layer("block1"), rows=(builders.row("block1.w"),)),),
    }
    measured |= parts
    return builders.report(judge(Policy(), **measured), **measured)


def deep(n_layers: int = 200, n_examples: int = 50) -> AuditReport:
    """As large as reports get: twelve tensors a layer, and texts that were forgotten."""
    names = [f"model.decoder.layers.{at}" for at in range(n_layers)]
    kinds = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
        "norm",
        "norm2",
        "b1",
        "b2",
        "b3",
    )
    random = Random(0)
    rows = tuple(
        builders.row(
            f"{name}.{kind}.weight", relative=random.random() / 9, distance=random.random() * 9,
            one_minus_cosine=random.random() / 99, max_abs=random.random() / 99, changed_share=random.random(),
        )
        for name in names for kind in kinds
    )  # fmt: skip
    text = hostile.report().lost[0]
    lost = tuple(
        text.model_copy(
            update={
                "data": "val", "id": f"{at:032x}-0", "row": at, "wanted": "cat", "base": "cat", "tuned": "dog",
                "preview": text.preview.model_copy(update={"content": "a sentence that was forgotten " * 9})
                if text.preview else None,
            }
        )
        for at in range(n_examples)
    )  # fmt: skip
    report = plain(
        features=(
            builders.features(
                *(builders.drift(name, 0.987654321 - at / 999) for at, name in enumerate(names))
            ),
        ),
        weights=(builders.weights(*(builders.layer(name) for name in names), rows=rows),),
    )
    return report.model_copy(update={"lost": lost})


def test_the_page_is_whole_and_needs_nothing() -> None:
    for report in (plain(), hostile.report(), deep()):
        text = html(report)
        page = Page(text)
        assert page.open == []
        assert not page.named("script", "link", "iframe", "object", "embed", "form", "base")
        addresses = [
            attrs.get(name) or ""
            for _, attrs in page.tags
            for name in ("src", "href", "action", "srcset", "style")
        ]
        assert all(not one or one.startswith(("#", "data:image/png;base64,")) for one in addresses)
        assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
        assert not re.search(r"url\(|@import|https?:", text.partition("</style>")[0])


def test_a_policy_of_the_page_itself_forbids_scripts_and_other_places() -> None:
    policies = [attrs["content"] for attrs in Page(html(plain())).named("meta") if "http-equiv" in attrs]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_nothing_out_of_a_file_becomes_an_element_or_an_attribute() -> None:
    def skeleton(report: AuditReport) -> list[tuple[str, list[str]]]:
        return [(tag, list(attrs)) for tag, attrs in Page(html(report)).tags]

    harmless = tuple(f"name{at}" for at in range(len(hostile.NAMES)))
    assert skeleton(hostile.report()) == skeleton(hostile.report(harmless))


@pytest.mark.parametrize("name", [name for name in hostile.NAMES if len(name) < 1000])
def test_names_are_shown_as_they_are(name: str) -> None:
    assert printable(name) in Page(html(hostile.report((name,) * 5))).texts


def test_only_small_pictures_of_our_own_are_shown_as_pictures() -> None:
    assert not Page(html(hostile.report())).named("img")
    for content in (
        "data:text/html;base64,AAAA",
        'data:image/png;base64,A"onerror=x',
        "https://evil.example/x.png",
    ):
        assert not Page(html(hostile.report((content,) * 5))).named("img")
    assert Page(html(hostile.report(("data:image/png;base64,iVBORw0KGgo=",) * 5))).named("img")


def test_every_table_can_be_heard() -> None:
    page = Page(html(hostile.report()))
    text = html(hostile.report())
    assert len(page.named("caption")) == len(page.named("table")) > 5
    assert all(attrs.get("scope") in ("row", "col") for attrs in page.named("th"))
    assert all("aria-hidden" in attrs for attrs in page.named("svg"))
    assert all(attrs.get("aria-label") for attrs in page.named("div") if attrs.get("role") == "region")
    assert '<html lang="en">' in text
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_idents_are_used_once() -> None:
    idents = [attrs["id"] for _, attrs in Page(html(hostile.report())).tags if "id" in attrs]
    assert len(idents) == len(set(idents))


def palettes() -> list[dict[str, str]]:
    return [
        dict(re.findall(r"--(\w+): (#\w+);", block))
        for block in re.findall(r":root \{(.*?)\}", CSS.read_text(), re.DOTALL)
    ]


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_of_text_can_be_read_on_its_paper() -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11: at least 4.5 for text, 3 for marks."""
    light, dark, printed = palettes()
    for palette in (light, dark, printed):
        for name, least in (
            ("ink", 7),
            ("quiet", 4.5),
            ("good", 4.5),
            ("warn", 4.5),
            ("bad", 4.5),
            ("mark", 4.5),
        ):
            one, other = sorted((luminance(palette[name]), luminance(palette["paper"])))
            assert (other + 0.05) / (one + 0.05) >= least, (name, palette)


def test_dark_light_and_print_are_all_provided() -> None:
    style = CSS.read_text()
    assert "@media (prefers-color-scheme: dark)" in style
    assert "@media print" in style
    assert "@media (max-width" in style


def test_200_layers_and_50_examples_stay_under_300_kb() -> None:
    assert len(html(deep()).encode()) < 300_000


def test_a_deep_network_is_a_strip_at_a_glance_and_a_table_on_request() -> None:
    page = Page(html(deep()))
    assert {attrs["viewbox"] for attrs in page.named("svg") if "viewbox" in attrs} == {"0 0 200 1"}
    assert len(page.named("summary")) == 3
    shallow = Page(html(plain()))
    assert not [attrs for attrs in shallow.named("svg") if "viewbox" in attrs]


@pytest.mark.parametrize("report", [plain(), hostile.report(), deep()], ids=["plain", "hostile", "deep"])
def test_the_page_gives_the_report_back_exactly(report: AuditReport) -> None:
    found = embedding.extracted(html(report))
    assert found is not None
    again = AuditReport.model_validate_json(found)
    assert again == report
    assert again.to_json() == report.to_json()


def test_small_reports_are_plain_json_and_large_ones_packed() -> None:
    assert embedding.embedded(plain().to_json())[0] == "json"
    encoding, text = embedding.embedded(deep().to_json())
    assert encoding == "bz2+base64"
    assert text.isascii()


def test_what_is_embedded_ends_no_element() -> None:
    _, text = embedding.embedded(hostile.report((hostile.NAMES[1],) * 5).to_json())
    assert not set("<>&") & set(text)
    assert text.isascii()


@pytest.mark.parametrize(
    ("element", "said"),
    [
        ("", "is a page without a report"),
        (
            '<template id="forgetaudit-report" data-encoding="rot13">x</template>',
            "its encoding rot13 is unknown",
        ),
        (
            '<template id="forgetaudit-report" data-encoding="bz2+base64">x</template>',
            "what it holds is damaged",
        ),
        (
            '<template id="forgetaudit-report" data-encoding="bz2+base64">QlpoOQ==</template>',
            "it is cut off, or larger than any report",
        ),
        (
            '<template id="forgetaudit-report" data-encoding="json">{}</template>',
            "is not a report of the schema",
        ),
    ],
)
def test_a_damaged_page_is_refused(tmp_path: Path, element: str, said: str) -> None:
    (tmp_path / "r.html").write_text(f"<!doctype html>\n<html>{element}</html>")
    with pytest.raises(UsageError, match=r"r\.html") as refused:
        load_report(tmp_path / "r.html")
    assert said in str(refused.value)


def test_what_was_not_measured_is_said() -> None:
    absent = Absent(not_measured="no data were passed (--data)")
    texts = re.sub(r"\s+", " ", " ".join(Page(html(plain(source=absent, features=absent))).texts))
    assert "accuracy not measured: no data were passed (--data)" in texts
    assert "feature drift not measured: no data were passed (--data)" in texts


def test_without_labels_the_page_says_what_a_loss_then_is() -> None:
    unlabelled = builders.source(30, 0, 500).model_copy(update={"unlabelled": True})
    texts = " ".join(Page(html(plain(source=(unlabelled,)))).texts)
    assert "base's answers stand for the right ones" in texts
    assert "stand for the right ones" not in " ".join(Page(html(plain())).texts)

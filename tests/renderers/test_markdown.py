"""Markdown: the verdict first, small enough for a comment, and nothing in it is a link, a mention or markup by accident."""

import re

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from tests.renderers import hostile
from tests.report import builders

from forgetaudit.judge.gate import judge
from forgetaudit.policy import Policy, Rule, RuleKind
from forgetaudit.renderers.markdown import MARKER, MOST_CHARACTERS, markdown
from forgetaudit.renderers.markdown_text import code, prose
from forgetaudit.report.behaviour import ClassResult
from forgetaudit.report.inputs import VariantName
from forgetaudit.report.report import AuditReport

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def judged() -> AuditReport:
    measured = {
        "source": (builders.source(30, 5, 500),),
        "features": (builders.features(builders.drift("block1", 0.9)),),
        "weights": (builders.weights(builders.layer("block1")),),
    }
    return builders.report(
        judge(Policy(rules=(Rule(kind=RuleKind.ACCURACY, limit=0.02),)), **measured), **measured
    )  # type: ignore[arg-type]


def inline(text: str) -> list[Token]:
    return [child for token in READER.parse(text) for child in (token.children or [token])]


def test_the_first_line_is_the_verdict_and_the_marker_follows() -> None:
    lines = markdown(judged()).splitlines()
    assert lines[0] == "**FAIL** source accuracy fell 5.0 pt, at least 3.2 (one-sided 95 %); limit 2 pt"
    assert lines[2] == MARKER


def test_every_table_has_as_many_cells_in_each_row() -> None:
    for text in (markdown(judged()), markdown(hostile.report())):
        blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
        assert blocks
        for block in blocks:
            assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_nothing_out_of_a_file_is_markup() -> None:
    """The same tokens as with harmless names, but for texts and code."""

    def skeleton(report: AuditReport) -> list[tuple[str, str]]:
        loose = {"text", "code_inline", "softbreak"}
        tokens = inline(markdown(report))
        return [
            (token.type, token.content if "html" in token.type else "")
            for token in tokens
            if token.type not in loose
        ]

    names = tuple(f"name{at}" for at in range(len(hostile.NAMES)))
    # A long name fills a comment sooner, so both have one.
    long = (*names[:-1], "x" * 5000)
    assert skeleton(hostile.report()) == skeleton(hostile.report(long))


def test_outside_code_nothing_is_linked_mentioned_or_run() -> None:
    texts = [token.content for token in inline(markdown(hostile.report())) if token.type == "text"]
    said = "\n".join(texts)
    assert not re.search(r"@\w|#\d|GH-\d|://|www\.|:tada:|!\[|\$x\$", said)


@pytest.mark.parametrize("name", hostile.NAMES)
def test_a_name_is_one_code_span_and_shown_whole(name: str) -> None:
    tokens = [
        token
        for token in inline(f"a {code(name)} b")
        if token.type not in ("paragraph_open", "paragraph_close")
    ]
    assert [token.type for token in tokens] == ["text", "code_inline", "text"]


def test_plain_sentences_are_not_quoted() -> None:
    said = "the loss is real: 25.9 to 32.3 points (one-sided 95 %), ‖Δ‖/‖θ₀‖ 0.1; block3 drifts most"
    assert prose(said) == said
    assert prose("cka 0.7 < 0.8") == "cka 0.7 &lt; 0.8"
    assert prose("moved: block1.bn1.num_batches_tracked, b") == "moved: `block1.bn1.num_batches_tracked`, b"


def test_a_large_report_stays_a_comment_and_says_what_it_left_out() -> None:
    names = [VariantName(name=f"run{at}") for at in range(60)]
    classes = tuple(
        ClassResult(
            label=at, name=f"class {at}", n=9, base=0.9, tuned=0.8, drop=hostile.drop(0.1), adjusted_p=0.5
        )
        for at in range(1000)
    )
    source = builders.source(30, 5, 500)
    sections = tuple(source.model_copy(update={"variant": name.name, "per_class": classes}) for name in names)
    large = judged().model_copy(update={"variants": (VariantName(name="base"), *names), "source": sections})
    text = markdown(large)
    assert 0.9 * MOST_CHARACTERS < len(text) < MOST_CHARACTERS
    assert "960 classes more in the report." in text
    left = re.search(r"^([\d,]+) sections left out, to stay under 60,000 characters", text, re.MULTILINE)
    assert left is not None
    assert int(left[1]) > 100


def test_a_name_of_any_length_fits() -> None:
    assert len(markdown(hostile.report(("y" * 200_000,) * 5))) < MOST_CHARACTERS

"""Two paths and a data set of texts, on a BERT that was trained and then forgot; tests/fixtures says how."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest

FIXTURES = Path(__file__).parent.parent / "fixtures"
BASE, TUNED = FIXTURES / "bert" / "base", FIXTURES / "bert" / "tuned"
# As its config.json has them; the data set sorts them otherwise.
MODEL_CLASSES = ("docstring", "comment", "code", "documentation")

Audit = Callable[..., tuple[int, str, dict[str, Any]]]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Every fifth of the held-out texts, of every class alike."""
    held = datasets.Dataset.from_parquet(str(FIXTURES / "data" / "bert_val.parquet"))
    names = held.features["label"].names
    return [{"text": row["text"], "label": names[row["label"]]} for row in list(held)[::5]]


@pytest.fixture
def audit(forgetaudit: Callable[..., Any], tmp_path: Path) -> Audit:
    """Exit code, stderr, and report of base against tuned on `rows`, written down as jsonl."""

    def run(rows: Sequence[dict[str, Any]], *options: str) -> tuple[int, str, dict[str, Any]]:
        (tmp_path / "texts.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
        path = tmp_path / "report.json"
        path.unlink(missing_ok=True)
        words = ["compare", BASE, TUNED, "--data", "texts.jsonl", "--output", f"json={path}", *options]
        done = forgetaudit(*words, cwd=tmp_path)
        return done.code, done.err, json.loads(path.read_text()) if path.exists() else {}

    return run


def answers(folder: Path, texts: Sequence[Any]) -> list[str]:
    """What the library's own pipeline answers, one text after the other, so that nothing is padded."""
    from transformers import pipeline

    ask = pipeline("text-classification", model=str(folder), tokenizer=str(folder), device="cpu")
    given = [text if isinstance(text, str) else {"text": text[0], "text_pair": text[1]} for text in texts]
    # It wraps the answer to a string in a list, and that to a pair not.
    told: list[Any] = [ask(text, truncation=True) for text in given]
    return [str((found[0] if isinstance(found, list) else found)["label"]) for found in told]


def flips(report: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = report["source"][0]["flips"]
    return found


def decisions(report: dict[str, Any]) -> list[str]:
    found: list[str] = report["inputs"]["data"][0]["decisions"]
    return found


def flips_of(truth: Sequence[str], base: Sequence[str], tuned: Sequence[str]) -> dict[str, int]:
    right = [(b == t, u == t) for t, b, u in zip(truth, base, tuned, strict=True)]
    names = {
        "forgotten": (True, False),
        "gained": (False, True),
        "kept": (True, True),
        "missed": (False, False),
    }
    return {name: right.count(kind) for name, kind in names.items()}


def test_texts_are_judged_as_by_the_librarys_own_pipeline(audit: Audit, rows: list[dict[str, Any]]) -> None:
    code, _, report = audit(rows, "--max-drop", "2pt")
    texts, truth = [row["text"] for row in rows], [row["label"] for row in rows]
    assert flips(report) == flips_of(truth, answers(BASE, texts), answers(TUNED, texts))
    assert (code, report["verdict"]["outcome"]) == (1, "fail")
    assert [found["name"] for found in report["source"][0]["per_class"]] == list(MODEL_CLASSES)


def test_the_whole_data_set_is_judged_as_when_the_models_were_trained(
    forgetaudit: Callable[..., Any], tmp_path: Path
) -> None:
    scores = json.loads((FIXTURES / "manifest.json").read_text())["scores"]
    base, tuned = (scores[f"bert/{name}"]["bert_val"] for name in ("base", "tuned"))
    path = tmp_path / "report.json"
    data = FIXTURES / "data" / "bert_val.parquet"
    forgetaudit("compare", BASE, TUNED, "--data", data, "--output", f"json={path}", cwd=tmp_path)
    found = json.loads(path.read_text())["source"][0]
    assert found["flips"]["forgotten"] + found["flips"]["kept"] == base["n_right"]
    assert found["flips"]["gained"] + found["flips"]["kept"] == tuned["n_right"]
    assert found["nll"]["base"] == pytest.approx(base["log_loss"], abs=1e-5)
    assert found["nll"]["tuned"] == pytest.approx(tuned["log_loss"], abs=1e-5)


def test_every_decision_is_told_also_what_only_the_run_could_show(
    audit: Audit, rows: list[dict[str, Any]]
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(BASE))
    n_cut = sum(len(tokenizer(row["text"], truncation=False)["input_ids"]) > 64 for row in rows)
    assert 0 < n_cut < len(rows)
    _, _, report = audit(rows)
    assert decisions(report)[1:] == [
        "input text (by name, text), label label (by name, text)",
        "4 classes (code, comment, docstring, …), from text, in natural order",
        f"{len(rows)} examples",
        "task classification: the texts have labels",
        "labels by name: the model's 4 classes, renumbered code 0 → 2, docstring 2 → 0",
        f"{n_cut} of {len(rows)} texts were longer than the 64 tokens that the model reads, and cut",
    ]


def test_the_spelling_and_order_of_class_names_change_no_number(
    audit: Audit, rows: list[dict[str, Any]]
) -> None:
    _, _, plain = audit(rows)
    spelt = {
        "docstring": "DocString",
        "comment": " Comment ",
        "code": "CODE",
        "documentation": "documentation",
    }
    turned = [{**row, "label": spelt[row["label"]]} for row in rows]
    _, _, other = audit(turned)
    numbered = [{**row, "label": MODEL_CLASSES.index(row["label"])} for row in rows]
    _, _, by_number = audit(numbered)
    assert flips(plain) == flips(other) == flips(by_number)
    assert plain["source"][0]["nll"] == other["source"][0]["nll"] == by_number["source"][0]["nll"]
    assert "labels by number: the data do not name their classes" in decisions(by_number)


def test_a_part_of_the_classes_is_judged_as_that_part(audit: Audit, rows: list[dict[str, Any]]) -> None:
    some = [row for row in rows if row["label"] in ("code", "documentation")]
    _, _, report = audit(some)
    assert [found["name"] for found in report["source"][0]["per_class"]] == ["code", "documentation"]
    assert any(said.startswith("labels by name: 2 of the model's 4 classes") for said in decisions(report))


def test_numbers_in_another_order_than_the_models_are_refused_with_the_order_found(
    audit: Audit, rows: list[dict[str, Any]]
) -> None:
    sorted_names = sorted(MODEL_CLASSES)
    swapped = [{**row, "label": sorted_names.index(row["label"])} for row in rows]
    code, _, report = audit(swapped, "--max-drop", "2pt")
    assert (code, report["verdict"]["outcome"]) == (2, "refused")
    assert report["source"][0]["unusable"]["id"] == "labels-do-not-fit"


def test_classes_that_are_not_the_models_end_the_audit_with_their_names(
    audit: Audit, rows: list[dict[str, Any]]
) -> None:
    code, err, report = audit([{**row, "label": row["label"].replace("code", "source")} for row in rows])
    assert (code, report) == (2, {})
    assert "1 of the 4 classes of texts are none of the model's" in err
    assert "only in texts (1): source" in err
    assert "only in the model (1): code" in err


def test_pairs_are_judged_as_by_the_librarys_own_pipeline(audit: Audit, rows: list[dict[str, Any]]) -> None:
    pairs = [(row["text"][:40], row["text"][40:]) for row in rows]
    held = [
        {"upper": upper, "lower": lower, "label": row["label"]}
        for (upper, lower), row in zip(pairs, rows, strict=True)
    ]
    code, err, _ = audit(held)
    assert code == 2
    assert "more than one column could be the input: upper, lower" in err
    _, _, report = audit(held, "--input-column", "upper", "--input-column", "lower")
    truth = [row["label"] for row in rows]
    assert flips(report) == flips_of(truth, answers(BASE, pairs), answers(TUNED, pairs))
    assert "input upper and lower (asked for, pairs of texts), label label (by name, text)" in decisions(
        report
    )


def test_a_task_of_the_users_own_is_run_by_its_name(
    audit: Audit, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "coarse.py").write_text(
        "from forgetaudit.tasks.text_classification import TextClassification\n"
        "def first_line(setting):\n"
        "    def encode(texts): return setting.encode([text.splitlines()[0] for text in texts])\n"
        "    return TextClassification(('docstring', 'comment', 'code', 'documentation'), encode,\n"
        "                              label_map=[2, 1, 0, 3], said=['first lines only'])\n"
    )
    _, _, report = audit(rows, "--task", "coarse.py:first_line")
    first = [row["text"].splitlines()[0] for row in rows]
    truth = [row["label"] for row in rows]
    assert flips(report) == flips_of(truth, answers(BASE, first), answers(TUNED, first))
    assert report["source"][0]["task"] == "coarse.py:first_line"
    assert decisions(report)[-2:] == [
        "task coarse.py:first_line: asked for, pointed at",
        "first lines only",
    ]


def test_an_unknown_task_is_refused_before_anything_is_opened(
    audit: Audit, rows: list[dict[str, Any]]
) -> None:
    code, err, _ = audit(rows, "--task", "clasification")
    assert code == 2
    assert "--task clasification is not known" in err
    assert "did you mean classification?" in err


def test_images_for_a_model_of_text_are_refused(forgetaudit: Callable[..., Any], sample: Path) -> None:
    done = forgetaudit("compare", BASE, TUNED, "--data", sample / "src_val", "--no-config")
    assert done.code == 2
    assert "src_val holds images or arrays, and BertForSequenceClassification takes text" in done.err


def test_text_for_a_model_of_images_is_refused(
    forgetaudit: Callable[..., Any], sample: Path, tmp_path: Path
) -> None:
    (tmp_path / "texts.csv").write_text("text,label\nseven,7\nthree,3\n")
    done = forgetaudit(
        "compare", "base.safetensors", "tuned.safetensors", "--data", tmp_path / "texts.csv", cwd=sample
    )
    assert done.code == 2
    assert "texts holds text, and digits.py:build takes images or arrays" in done.err


def test_text_files_without_labels_tell_what_changed_and_name_the_option(audit: Audit) -> None:
    code, err, report = audit([{"text": "a"}, {"text": "b"}])
    assert code == 0, err
    assert report["source"][0]["unlabelled"]
    assert any("--label-column" in said for said in report["inputs"]["data"][0]["decisions"])


def test_padding_changes_neither_answers_nor_features(audit: Audit, rows: list[dict[str, Any]]) -> None:
    _, _, alone = audit(rows, "--batch-size", "1")
    _, _, together = audit(rows, "--batch-size", "50")
    assert flips(alone) == flips(together)
    for one, other in zip(alone["features"][0]["layers"], together["features"][0]["layers"], strict=True):
        assert one["cka"]["estimate"] == pytest.approx(other["cka"]["estimate"], abs=1e-5)


def test_reuse_changes_no_digit_of_the_report(audit: Audit, rows: list[dict[str, Any]]) -> None:
    reports = [audit(rows[::2], *options)[2] for options in ((), ("--no-reuse",))]
    for report in reports:
        report.pop("run")
        report["inputs"]["settings"].pop("reuse")
    assert reports[0] == reports[1]

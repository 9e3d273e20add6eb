"""compare --samples, end to end: two logs in, the paired verdict out, without torch."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student
from tests.logs import written
from tests.reference import statistics as reference

from forgetaudit.audits.lm_eval_logs import SamplesPlan, compare_samples
from forgetaudit.errors import DataError
from forgetaudit.judge.saved import load_report
from forgetaudit.policy import Policy, Rule, RuleKind
from forgetaudit.report.parts import Absent
from forgetaudit.report.report import AuditReport

N, BASE_WRONG, TUNED_WRONG = 600, range(120), range(30, 210)  # forgotten 90, gained 30, kept 390, missed 90


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two logs of one multiple-choice task: base.jsonl and tuned.jsonl."""
    written.write(tmp_path / "base.jsonl", written.choices(N, wrong=BASE_WRONG))
    written.write(tmp_path / "tuned.jsonl", written.choices(N, wrong=TUNED_WRONG, nats=27.6))
    return tmp_path


@pytest.fixture
def run(forgetaudit: Any, place: Path) -> Any:
    return lambda *options: forgetaudit(
        "compare", "--samples", "base.jsonl", "tuned.jsonl", *options, cwd=place
    )


def report_of(base: Path, tuned: Path, *rules: Rule, **choices: str) -> AuditReport:
    return compare_samples(SamplesPlan(base=base, tuned=tuned, policy=Policy(rules=rules), **choices))


def section(report: AuditReport) -> Any:
    assert not isinstance(report.source, Absent)
    return report.source[0]


def two(place: Path, base: list[Any], tuned: list[Any]) -> tuple[Path, Path]:
    return written.write(place / "b.jsonl", base), written.write(place / "t.jsonl", tuned)


SCREEN = """\
forgetaudit compare  base.jsonl → tuned.jsonl   samples · 600 examples
FAIL  source accuracy fell 10.0 pt, at least 7.1 (one-sided 95 %); limit 2 pt

acc           80.0 % → 70.0 %   −10.0 pt  [6.6, 13.6]  drop, two-sided 95 %
              forgotten 90 · gained 30 · kept 390 · missed 90
log loss      26.18 → 26.90 nats/example   +0.720  [0.685, 0.755]
acc_norm      0.800 → 0.700   −0.100  [−0.136, −0.066]

try   train fewer steps or at a lower rate, freeze the layers that drift most, or mix in source examples; each mitigates, none erases

exit 1 · data 087f6252… · lm-eval metric acc, filter none
"""


def test_the_screen_is_what_it_should_be(run: Any) -> None:
    done = run("--max-drop", "2pt")
    assert (done.code, done.err) == (1, "")
    assert done.out == SCREEN


def test_neither_torch_nor_datasets_wakes_up(place: Path) -> None:
    program = (
        "import sys\nfrom forgetaudit.cli import main\n"
        "code = main(['compare', '--samples', 'base.jsonl', 'tuned.jsonl', '--max-drop', '2pt'])\n"
        "print('HELD', code, *(name for name in ('torch', 'datasets', 'numpy', 'pyarrow') if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=place, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1].split()[:2] == ["HELD", "1"]
    assert "torch" not in done.stdout.splitlines()[-1]
    assert "datasets" not in done.stdout.splitlines()[-1]


def test_every_number_equals_its_reference(place: Path) -> None:
    found = section(report_of(place / "base.jsonl", place / "tuned.jsonl"))
    low, high = reference.tango_limits(90, 30, N, norm.ppf(0.975))
    assert found.flips.model_dump() == {"forgotten": 90, "gained": 30, "kept": 390, "missed": 90}
    assert (found.accuracy.base, found.accuracy.tuned) == (0.8, 0.7)
    assert (found.accuracy.drop.low, found.accuracy.drop.high) == pytest.approx((low, high), abs=1e-6)
    assert (found.mcnemar.exact, found.mcnemar.mid_p) == pytest.approx(reference.mcnemar(90, 30), rel=1e-6)
    base = np.array([26.98 - (i not in BASE_WRONG) for i in range(N)])
    increase = np.array([27.6 - (i not in TUNED_WRONG) for i in range(N)]) - base
    reach = student.ppf(0.975, N - 1) * increase.std(ddof=1) / math.sqrt(N)
    assert found.nll.base == pytest.approx(base.mean())
    assert found.nll.increase.estimate == pytest.approx(increase.mean())
    assert found.nll.increase.low == pytest.approx(increase.mean() - reach)


def test_the_report_is_complete_and_can_be_read_back(run: Any, place: Path) -> None:
    run("--output", "json=r.json")
    report = load_report(place / "r.json")
    assert isinstance(report.weights, Absent)
    assert isinstance(report.features, Absent)
    assert isinstance(report.inputs.model, Absent)
    assert report.inputs.base.digest.method == "sha256"  # type: ignore[union-attr]
    assert report.inputs.data[0].decisions == (
        "multiple-choice: 600 documents, paired by doc_hash",
        "prompts and targets are the same in both logs",
        "filter none, the only one in both logs",
        "metric acc (also there: acc_norm)",
    )


def test_two_runs_give_the_same_report_but_for_their_times(run: Any, place: Path) -> None:
    texts = []
    for name in ("one.json", "two.json"):
        run("--output", f"json={name}")
        texts.append(json.loads((place / name).read_text()) | {"run": None})
    assert texts[0] == texts[1]


def test_the_order_of_a_log_decides_nothing(place: Path) -> None:
    lines = written.choices(N, wrong=TUNED_WRONG, nats=27.6)
    random.Random(0).shuffle(lines)
    shuffled = report_of(place / "base.jsonl", written.write(place / "shuffled.jsonl", lines))
    plain = report_of(place / "base.jsonl", place / "tuned.jsonl")
    assert shuffled.inputs.data[0].fingerprint == plain.inputs.data[0].fingerprint
    assert section(shuffled) == section(plain)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--max-drop", "20pt"), 0, "PASS  source accuracy fell 10.0 pt, at most 13.0"),
        (("--max-drop", "9pt", "--fail-when", "proven"), 0, "INCONCLUSIVE"),
        (("--max-drop", "9pt", "--fail-when", "proven", "--on-inconclusive", "fail"), 3, "INCONCLUSIVE"),
        (("--max-drop", "20pt", "--min-samples", "1000"), 0, "INCONCLUSIVE"),
        (("--max-drop", "10%"), 1, "limit 8 pt"),
        (("--max-drop", "2pt", "--no-fail"), 0, "FAIL"),
        (("--max-drop", "2pt", "--confidence", "0.99"), 1, "one-sided 99 %"),
        ((), 0, "NOT JUDGED  source accuracy fell 10.0 pt; no limit given"),
    ],
)
def test_the_gate_works_as_it_does_on_models(
    run: Any, options: tuple[str, ...], code: int, said: str
) -> None:
    done = run(*options)
    assert done.code == code
    assert said in done.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--data", "x"), "--data says nothing about --samples"),
        (("--model", "x.py:build", "--no-reuse"), "--model, --no-reuse say nothing about --samples"),
        (("--batch-size", "64"), "--batch-size says nothing about --samples"),
        (("--hash",), "--hash says nothing about --samples"),
        (("--min-cka", "0.8"), "--min-cka cannot be judged from --samples"),
        (("--max-distance", "0.1", "--frozen", "x"), "--max-distance, --frozen cannot be judged from --samples"),
    ],
)  # fmt: skip
def test_every_option_acts_or_is_refused(run: Any, options: tuple[str, ...], said: str) -> None:
    done = run(*options)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "the logs hold answers" in done.err
    assert "hint: " in done.err


def test_checkpoints_beside_logs_are_refused(forgetaudit: Any, place: Path) -> None:
    done = forgetaudit("compare", "b.pt", "t.pt", "--samples", "base.jsonl", "tuned.jsonl", cwd=place)
    assert done.code == 2
    assert "BASE and TUNED cannot be given beside --samples" in done.err


def test_one_log_is_not_enough(forgetaudit: Any, place: Path) -> None:
    done = forgetaudit("compare", "--samples", "base.jsonl", cwd=place)
    assert done.code == 2
    assert "'--samples' requires 2 arguments" in done.err


def test_a_metric_without_logs_is_refused(forgetaudit: Any) -> None:
    done = forgetaudit("compare", "base.safetensors", "tuned.safetensors", "--metric", "acc")
    assert done.code == 2
    assert "--metric needs --samples" in done.err


def test_a_dry_run_reads_nothing(forgetaudit: Any, tmp_path: Path) -> None:
    done = forgetaudit("compare", "--samples", "a", "b", "--metric", "acc", "--max-drop", "2pt", "--dry-run", cwd=tmp_path)  # fmt: skip
    assert done.out.splitlines() == [
        "base     a, a log",
        "tuned    b, a log",
        "metric   acc",
        "filter   the only one",
        "rule     accuracy 0.02, level fail",
        "config   none",
    ]


def test_rules_of_the_config_on_weights_and_features_stay_open(run: Any, place: Path) -> None:
    (place / "forgetaudit.toml").write_text(
        "[gate.rules]\naccuracy = { max-drop = '20pt' }\ncka = { min = 0.8 }\ndistance = { max = 0.1 }\n"
        "frozen = { tensors = ['stem.*'] }\n"
    )
    done = run()
    assert done.code == 0
    assert done.out.splitlines()[1].startswith("INCONCLUSIVE")
    for rule, what in (("cka", "features"), ("distance", "weights"), ("frozen", "weights")):
        assert f"open  {rule}: not measured: logs of answers (--samples) hold no {what}" in done.out


def test_logs_in_the_folders_of_their_models_are_told_by_those(forgetaudit: Any, tmp_path: Path) -> None:
    name = "samples_arc_easy_2026-08-07T10-11-12.123456.jsonl"
    written.write(tmp_path / "org__base" / name, written.choices(20))
    written.write(tmp_path / "out__tuned" / name, written.choices(20, wrong=[1]))
    done = forgetaudit("compare", "--samples", f"org__base/{name}", f"out__tuned/{name}", cwd=tmp_path)
    assert done.out.splitlines()[0] == "forgetaudit compare  org__base → out__tuned   arc_easy · 20 examples"


def test_the_screen_fits_80_columns(place: Path) -> None:
    from forgetaudit.renderers.terminal import render

    b, t = (
        [written.rolling_line(i, -3.0 * (50 + i) - worse * i, 50 + i) for i in range(9)]
        for worse in (0.0, 0.5)
    )
    drop = Rule(kind=RuleKind.ACCURACY, limit=0.02)
    for report in (
        report_of(place / "base.jsonl", place / "tuned.jsonl", drop),
        report_of(*two(place, b, t)),
    ):
        assert all(len(line) <= 80 for line in render(report, width=80).splitlines())


def test_a_log_passed_twice_is_a_finding(forgetaudit: Any, place: Path) -> None:
    done = forgetaudit("compare", "--samples", "base.jsonl", "base.jsonl", "--max-drop", "2pt", cwd=place)
    assert done.code == 0
    assert "why   the logs are equal byte for byte" in done.out


def test_logs_that_differ_are_not_said_to_be_equal(place: Path) -> None:
    found = report_of(place / "base.jsonl", place / "tuned.jsonl").findings
    assert [finding.id for finding in found] == ["drop-proved"]


def test_a_base_that_guesses_is_refused(place: Path) -> None:
    guessing = two(
        place, written.choices(400, wrong=range(100, 400)), written.choices(400, wrong=range(100, 399))
    )
    report = report_of(*guessing, Rule(kind=RuleKind.ACCURACY, limit=0.02))
    assert (report.verdict.outcome, report.verdict.exit_code) == ("refused", 2)
    assert (
        section(report).unusable.reason == "base is at chance on samples: 25.0 % right, guessing gets 25.0 %"
    )
    assert "the chat template" in report.findings[0].advice


def test_guessing_among_two_is_no_feat_and_among_ten_it_is(place: Path) -> None:
    for k, refused in ((2, True), (10, False)):
        b, t = (written.choices(400, wrong=range(200, 400), k=k) for _ in range(2))
        assert (section(report_of(*two(place, b, t))).unusable is not None) is refused


def test_who_detects_a_rare_answer_is_judged_though_always_the_other_is_right_more_often(place: Path) -> None:
    """9 of 10 rare ones found, 9 of 10 others left alone: 90 % right, as is who always says the other."""
    lines = [
        written.choice_line(at, chosen=gold if at % 10 < 9 else 1 - gold, gold=gold, k=2)
        for at in range(1000)
        for gold in [int(at >= 900)]
    ]
    assert section(report_of(*two(place, lines, lines))).unusable is None
    never = [written.choice_line(at, chosen=0, gold=int(at >= 900), k=2) for at in range(1000)]
    assert section(report_of(*two(place, never, never))).unusable is not None


def test_always_the_commonest_answer_is_no_feat(place: Path) -> None:
    skewed = [written.choice_line(i, chosen=0, gold=int(i >= 280)) for i in range(400)]
    assert section(report_of(*two(place, skewed, skewed))).unusable is not None


def test_a_base_that_cannot_answer_is_refused(place: Path) -> None:
    lines = [written.generated_line(i, right=i < 4) for i in range(400)]
    reason = section(report_of(*two(place, lines, lines))).unusable.reason
    assert reason == "base cannot do samples: 1.0 % right, too few for a loss to show"


def test_a_score_of_something_else_than_the_target_is_not_held_against_the_targets(place: Path) -> None:
    """Tests that pass, instructions that are followed: most targets may well be empty."""
    lines = [written.line(i, {"i": i}, "" if i % 4 else i, {"pass@1": float(i % 3 == 0)}, arguments=[["?", {}]],
                          resps=[["x"]], filtered_resps=["x"]) for i in range(300)]  # fmt: skip
    assert section(report_of(*two(place, lines, lines))).unusable is None


def test_generated_answers_have_no_log_loss_and_it_is_said(place: Path) -> None:
    b, t = ([written.generated_line(i, right=i >= wrong) for i in range(300)] for wrong in (30, 60))
    found = section(report_of(*two(place, b, t)))
    assert found.metric == "exact_match"
    assert (found.flips.forgotten, found.flips.gained) == (30, 0)
    assert found.nll.increase.not_measured == "generated answers are logged without their log-likelihood"


def test_single_answers_have_their_log_loss_once(place: Path) -> None:
    b, t = ([written.last_word_line(i, nats, greedy=i % 3 > 0) for i in range(60)] for nats in (-1.0, -1.5))
    report = report_of(*two(place, b, t))
    assert section(report).nll.increase.estimate == 0.5
    assert report.scores == ()


def test_a_model_that_broke_is_found_by_its_log_likelihoods(place: Path) -> None:
    broken = written.choices(300, nats=math.nan)
    report = report_of(*two(place, written.choices(300), broken))
    found = section(report)
    assert found.nonfinite == {"base": 0, "tuned": 300}
    assert found.nll.increase.not_measured == "log-likelihoods are NaN or infinite for 300 examples in tuned"
    assert "how they were scored means nothing" in report.findings[0].title


def test_log_loss_per_word_is_that_of_the_whole_text(place: Path) -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(20, 200, 80)
    base = -3.0 * words + rng.normal(0, 5, 80)
    tuned = base - 0.2 * words + rng.normal(0, 5, 80)
    b, t = (
        [
            written.rolling_line(i, float(ll), int(n))
            for i, (ll, n) in enumerate(zip(side, words, strict=True))
        ]
        for side in (base, tuned)
    )
    report = report_of(*two(place, b, t))
    assert isinstance(report.source, Absent)
    first, second = report.scores
    assert (first.metric, first.unit, second.unit) == ("log loss", "nats/word", "nats/byte")
    assert first.base == pytest.approx(-base.sum() / words.sum())
    assert first.increase.estimate == pytest.approx((base - tuned).sum() / words.sum())
    # Resampling whole documents, many times, gives the spread that the formula claims.
    picks = rng.integers(0, 80, (4000, 80))
    spread = ((base - tuned)[picks].sum(1) / words[picks].sum(1)).std()
    half = (first.increase.high - first.increase.low) / 2
    assert half == pytest.approx(norm.ppf(0.975) * spread, rel=0.08)


def test_a_continuous_score_gets_its_paired_difference_and_no_verdict(forgetaudit: Any, place: Path) -> None:
    rng = np.random.default_rng(1)
    base, loss = rng.uniform(0.3, 1, 200), rng.normal(0.05, 0.1, 200)
    b, t = ([written.generated_line(i, True, filter_="none", f1=float(v)) for i, v in enumerate(side)] for side in (base, base - loss))  # fmt: skip
    two(place, b, t)
    done = forgetaudit("compare", "--samples", "b.jsonl", "t.jsonl", cwd=place)
    assert done.code == 0
    assert done.out.splitlines()[1].startswith("NOT JUDGED  f1 fell from 0.6")
    report = report_of(place / "b.jsonl", place / "t.jsonl")
    assert report.scores[0].increase.estimate == pytest.approx(-loss.mean())
    reach = student.ppf(0.975, 199) * loss.std(ddof=1) / math.sqrt(200)
    assert report.scores[0].increase.high == pytest.approx(-loss.mean() + reach)


def test_a_limit_on_accuracy_does_not_fit_a_continuous_score(forgetaudit: Any, place: Path) -> None:
    lines = [written.generated_line(i, True, filter_="none", f1=i / 300, em=float(i % 2)) for i in range(300)]
    two(place, lines, lines)
    done = forgetaudit(
        "compare", "--samples", "b.jsonl", "t.jsonl", "--metric", "f1", "--max-drop", "2pt", cwd=place
    )
    assert done.code == 2
    assert "--max-drop limits the share of right answers, and f1 is not right or wrong" in done.err
    assert "hint: judge another metric: --metric em" in done.err


def test_one_document_is_too_few(place: Path) -> None:
    with pytest.raises(DataError, match="the logs hold one document"):
        report_of(*two(place, written.choices(1), written.choices(1)))


def test_what_is_wrong_with_a_log_ends_with_2(forgetaudit: Any, place: Path) -> None:
    written.write(place / "short.jsonl", written.choices(500))
    done = forgetaudit("compare", "--samples", "base.jsonl", "short.jsonl", cwd=place)
    assert (done.code, done.out) == (2, "")
    assert "error: 100 documents stand in one log only (500 in both)" in done.err

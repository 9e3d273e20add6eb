"""From outcomes to the report's sections: questions in groups, further scores, and tasks that tell at the end."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from forgetaudit.audits.answers import find_unusable, rival_section, score_sections, source_section
from forgetaudit.audits.paired_sums import EvaluationSums
from forgetaudit.data.batches import Batch
from forgetaudit.data.examples import Example
from forgetaudit.engine.stream import Step
from forgetaudit.inference.paired import tango
from forgetaudit.report.parts import Absent, Estimate
from forgetaudit.tasks.task import FinalAnswers, Outcomes

N_TEXTS, N_WORDS = 60, 30


class Words:
    """A task over texts of words: outputs are what was answered, and every text's words are one row."""

    unit = "word"
    class_names = None

    def score(self, outputs: Any, batch: Batch) -> Outcomes:
        predicted, nll = outputs
        wanted = np.zeros(len(predicted), np.int64)
        return Outcomes(
            predicted=predicted,
            correct=predicted == wanted,
            nll=nll,
            n_classes=50,
            wanted=wanted,
            row=np.repeat(np.arange(len(batch)), N_WORDS),
        )

    def soft(self, base: Any, tuned: Any, batch: Batch) -> dict[str, Any]:
        return {"gap": np.abs(base[1] - tuned[1])}


def answered(seed: int, share_wrong: float) -> tuple[np.ndarray, np.ndarray]:
    """Of every text: answers, wrong for whole texts together, and a log loss."""
    rng = np.random.default_rng(seed)
    wrong = np.repeat(rng.random(N_TEXTS) < share_wrong, N_WORDS) & (rng.random(N_TEXTS * N_WORDS) < 0.8)
    return wrong.astype(np.int64), rng.gamma(2, 1, N_TEXTS * N_WORDS)


ANSWERS = {"base": answered(0, 0.2), "one": answered(1, 0.5), "two": answered(2, 0.4)}


def opened(task: Any) -> Any:
    return SimpleNamespace(
        plan=SimpleNamespace(name="texts"), task=task, task_name="words", labelled=True, gaps=()
    )


def ledger_of_words(batch_size: int) -> EvaluationSums:
    ledger = EvaluationSums(("one", "two"), Words(), seed=0)
    for start in range(0, N_TEXTS, batch_size):
        texts = range(start, min(start + batch_size, N_TEXTS))
        words = slice(start * N_WORDS, (texts[-1] + 1) * N_WORDS)
        # Two rows are windows of one text.
        groups = tuple(f"text {text // 2}" for text in texts)
        batch = Batch(ids=tuple(f"row {text}" for text in texts), groups=groups)
        outputs = {name: (predicted[words], nll[words]) for name, (predicted, nll) in ANSWERS.items()}
        ledger.take_in(Step(batch=batch, outputs=outputs, features={}))
    ledger.settle()
    return ledger


def section(ledger: EvaluationSums, name: str = "one") -> Any:
    return source_section(name, ledger.tallies[name], opened(Words()), known=False, unusable=None)


def test_words_of_a_text_are_not_independent_and_the_interval_knows() -> None:
    found = section(ledger_of_words(7))
    assert (found.n, found.unit, found.groups.n) == (N_TEXTS * N_WORDS, "word", N_TEXTS // 2)
    alone = tango(found.flips.forgotten, found.flips.gained, found.n, confidence=0.95, sides=2)
    assert found.accuracy.drop.high - found.accuracy.drop.low > 3 * (alone.high - alone.low)
    assert found.groups.drop_effect > 9
    assert isinstance(found.mcnemar, Absent)


def test_the_sums_are_those_of_all_words_at_once() -> None:
    found, (base, base_nll), (tuned, tuned_nll) = section(ledger_of_words(7)), ANSWERS["base"], ANSWERS["one"]
    assert found.accuracy.base == (base == 0).mean()
    assert found.flips.forgotten == ((base == 0) & (tuned == 1)).sum()
    assert found.disagreement.estimate == pytest.approx((base != tuned).mean(), rel=1e-12)
    assert found.nll.increase.estimate == pytest.approx((tuned_nll - base_nll).mean(), rel=1e-12)
    assert found.soft[0].measure == "gap"
    assert found.soft[0].value.estimate == pytest.approx(np.abs(tuned_nll - base_nll).mean(), rel=1e-12)
    of_text = (tuned_nll - base_nll).reshape(N_TEXTS // 2, -1).sum(axis=1)
    se = np.sqrt(N_TEXTS // 2 / (N_TEXTS // 2 - 1) * ((of_text - of_text.mean()) ** 2).sum()) / found.n
    half = (found.nll.increase.high - found.nll.increase.low) / 2
    assert half == pytest.approx(2.0452 * se, rel=1e-4)  # t of 29 degrees of freedom


def test_batches_and_groups_cut_in_two_change_nothing() -> None:
    whole, pieces = section(ledger_of_words(N_TEXTS)), section(ledger_of_words(7))
    assert whole.flips == pieces.flips
    assert whole.accuracy.drop.low == pytest.approx(pieces.accuracy.drop.low, rel=1e-9)
    assert whole.soft[0].value.high == pytest.approx(pieces.soft[0].value.high, rel=1e-9)


def test_two_fine_tunes_are_paired_by_group_too() -> None:
    ledger = ledger_of_words(7)
    found = rival_section("one", "two", ledger.rivals["one", "two"], opened(Words()))
    assert isinstance(found.mcnemar, Absent)
    assert isinstance(found.advantage_of_first, Estimate)
    assert found.advantage_of_first.method == "grouped-tango"


class RandomWords(Words):
    """The right words are random; base says the commonest."""

    def score(self, outputs: Any, batch: Batch) -> Outcomes:
        wanted = np.random.default_rng(len(batch)).integers(0, 50, len(outputs[0]))
        found = super().score(outputs, batch)
        said = np.zeros_like(wanted)
        return replace(found, predicted=said, correct=said == wanted, wanted=wanted)


def test_base_that_always_says_the_same_word_is_at_chance_and_one_that_knows_is_not() -> None:
    guessing = EvaluationSums(("one",), RandomWords(), seed=0)  # type: ignore[arg-type]
    batch = Batch(ids=tuple(f"row {text}" for text in range(N_TEXTS)))
    guessing.take_in(Step(batch=batch, outputs=ANSWERS, features={}))
    unusable = find_unusable(guessing, opened(Words()))
    assert unusable is not None
    assert unusable.id == "base-at-chance"
    assert find_unusable(ledger_of_words(7), opened(Words())) is None


class Ranking:
    """A task that can tell only at the end; its further scores are of right and wrong, and of a number."""

    unit = "query"
    class_names = None

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def keep(self, outputs: Any, batch: Batch) -> None:
        self.kept.append((batch.ids, outputs))

    def settle(self) -> FinalAnswers:
        ids = tuple(name for names, _ in self.kept for name in names)
        joined = {
            name: np.concatenate([outputs[name] for _, outputs in self.kept]) for name in ("base", "tuned")
        }
        wanted = np.arange(len(ids))
        return FinalAnswers(
            asked=tuple(Example(id=name, input=name, label=None) for name in ids),
            outcomes={name: self._outcomes(ranks, wanted) for name, ranks in joined.items()},
            soft={"tuned": {"overlap@10": np.full(len(ids), 0.5)}},
        )

    @staticmethod
    def _outcomes(ranks: Any, wanted: Any) -> Outcomes:
        return Outcomes(
            predicted=np.where(ranks == 0, wanted, -1 % len(wanted)),
            correct=ranks == 0,
            nll=np.full(len(ranks), np.nan),
            n_classes=len(wanted),
            wanted=wanted,
            scores={"recall@5": (ranks < 5).astype(float), "mrr": 1 / (1 + ranks)},
        )


def test_a_task_that_tells_at_the_end_is_told_like_any_other() -> None:
    rng, task = np.random.default_rng(5), Ranking()
    base, tuned = rng.integers(0, 3, 90), rng.integers(0, 12, 90)
    ledger = EvaluationSums(("tuned",), task, seed=0)  # type: ignore[arg-type]
    for start in range(0, 90, 40):
        rows = slice(start, start + 40)
        batch = Batch(ids=tuple(f"q{row}" for row in range(90)[rows]))
        outputs = {"base": base[rows], "tuned": tuned[rows]}
        features = {"layer": {name: torch.randn(len(batch), 3) for name in outputs}}
        ledger.take_in(Step(batch=batch, outputs=outputs, features=features))
    ledger.settle()
    tally = ledger.tallies["tuned"]
    assert tally.moments["layer"].d_base == 3
    found = source_section("tuned", tally, opened(task), known=False, unusable=None)
    assert (found.n, found.unit, found.groups) == (90, "query", None)
    assert found.flips.forgotten == ((base == 0) & (tuned > 0)).sum()
    assert found.nll.base == Absent(not_measured="the task gives none")
    assert [soft.value.estimate for soft in found.soft] == [0.5]
    recall, mrr = score_sections("tuned", tally, opened(task))
    assert (recall.metric, recall.base, recall.tuned) == ("recall@5", 1.0, pytest.approx((tuned < 5).mean()))
    assert recall.increase.method == "tango"  # type: ignore[union-attr]
    assert mrr.increase.method == "paired-mean"  # type: ignore[union-attr]
    assert find_unusable(ledger, opened(task)) is None

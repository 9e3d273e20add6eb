"""Records of a long stream: all of them, or only the surest mistakes."""

import numpy as np

from forgetaudit.audits.example_table import Records
from forgetaudit.data.batches import Batch
from forgetaudit.tasks.task import Outcomes


def outcomes(predicted: np.ndarray, confidence: np.ndarray) -> Outcomes:
    wanted = np.zeros(len(predicted), np.int64)
    return Outcomes(
        predicted=predicted,
        correct=predicted == wanted,
        nll=np.zeros(len(predicted)),
        n_classes=2,
        wanted=wanted,
        confidence=confidence,
    )


def fed(records: Records, n: int = 30_000) -> Records:
    rng = np.random.default_rng(0)
    for start in range(0, n, 500):
        batch = Batch(ids=tuple(f"e{row}" for row in range(start, start + 500)))
        found = {
            "base": outcomes(np.zeros(500, np.int64), np.full(500, 0.9)),
            "tuned": outcomes((rng.random(500) < 0.3).astype(np.int64), rng.random(500)),
        }
        records.take_in(found, batch, {})
    return records


def test_a_long_stream_leaves_few_records_and_the_same_surest_mistakes() -> None:
    whole, few = fed(Records()), fed(Records(most_lost=24))
    assert len(whole) == 30_000
    assert len(few) < 6_000
    assert [one.id for one in few.lost("tuned")[:24]] == [one.id for one in whole.lost("tuned")[:24]]

"""locate and trace on real networks: tied embeddings, tokens of texts, embeddings judged at the end."""

import json
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def located(forgetaudit: Any, tmp_path: Path) -> Any:
    def run(*words: str) -> dict[str, Any]:
        path = tmp_path / "located.json"
        done = forgetaudit("locate", *words, "--output", f"json={path}", cwd=FIXTURES)
        assert done.code == 0, done.err
        section: dict[str, Any] = json.loads(path.read_text())["locate"][0]
        return section

    return run


def test_what_is_tied_is_rolled_back_together_and_plays_once(located: Any) -> None:
    found = located(
        "gpt2/base", "gpt2/tuned", "--data", "data/docs.jsonl", "--limit", "12", "--permutations", "0"
    )
    assert found["players"][0]["name"] == "transformer.wte"
    assert "lm_head" not in {row["name"] for row in found["players"]}
    # The head is the embedding, which moved.
    assert found["unmoved"] == []
    assert (found["unit"], found["n_groups"]) == ("token", 12)


def test_intervals_of_tokens_are_those_of_their_texts(located: Any) -> None:
    found = located("gpt2/base", "gpt2/tuned", "--data", "data/docs.jsonl", "--limit", "20")
    change = found["players"][0]["rolled_back"]["change"]
    assert change["method"] == "grouped-mean"
    assert found["sums"]["shapley"] == pytest.approx(found["sums"]["drop"], abs=1e-9)


def test_embeddings_that_are_judged_at_the_end_are_judged_of_every_mixture(located: Any) -> None:
    found = located(
        "sbert/base", "sbert/tuned", "--data", "data/pairs.jsonl", "--limit", "40", "--permutations", "0"
    )
    assert len(found["players"]) == 3
    assert found["unit"] == "query"
    everything = [row for row in found["resets"] if len(row["layers"]) == 2]
    assert all("estimate" in row["gain"] for row in everything)


def test_adapters_are_traced_beside_whole_checkpoints(forgetaudit: Any) -> None:
    done = forgetaudit(
        "trace", "gpt2/base", "gpt2/lora", "gpt2/tuned", "--data", "data/docs.jsonl", "--limit", "20",
        "--target", "data/code.jsonl", cwd=FIXTURES,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "in the order given: nothing says the step of lora" in done.out
    assert "○ on code, the target" in done.out

"""Logs as lm-eval 0.4.13 writes them with --log_samples, line by line."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Lines = list[dict[str, Any]]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def line(
    doc_id: int, doc: Mapping[str, Any], target: object, metrics: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """`more`: arguments as lists, resps before they were made strings."""
    arguments: Sequence[Sequence[Any]] = more.pop("arguments")
    prompt = more.pop("prompt", arguments[0][0])
    return {
        "doc_id": doc_id,
        "doc": dict(doc),
        "target": str(target),
        "arguments": {
            f"gen_args_{i}": {f"arg_{j}": word for j, word in enumerate(words)}
            for i, words in enumerate(arguments)
        },
        "resps": more.pop("resps"),
        "filtered_resps": more.pop("filtered_resps"),
        "filter": more.pop("filter", "none"),
        "metrics": list(metrics),
        "doc_hash": sha(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": sha(prompt),
        "target_hash": sha(str(target)),
        **metrics,
        **more,
    }


def choice_line(
    doc_id: int, chosen: int, *, gold: int | None = None, k: int = 4, nats: float = 26.98, **metrics: Any
) -> dict[str, Any]:
    """Multiple choice: `chosen` has the largest log-likelihood, 1 nat above the others, which have −nats."""
    gold = doc_id % k if gold is None else gold
    doc = {
        "id": f"Q{doc_id}",
        "question": f"What is {doc_id} + 1?",
        "choices": [f"answer {i}" for i in range(k)],
        "gold": gold,
    }
    likelihoods = [-nats + (1.0 if i == chosen else 0.0) for i in range(k)]
    scored = [[str(value), "False"] for value in likelihoods]
    right = float(chosen == gold)
    return line(
        doc_id, doc, gold, {"acc": right, "acc_norm": right} | metrics,
        arguments=[[f"Question: {doc['question']}\nAnswer:", f" answer {i}"] for i in range(k)],
        resps=[[pair] for pair in scored], filtered_resps=scored,
    )  # fmt: skip


def choices(n: int, *, wrong: Sequence[int] = (), k: int = 4, nats: float = 26.98) -> Lines:
    """So many documents, right but for those in `wrong`."""
    missed = set(wrong)
    return [choice_line(i, (i + (i in missed)) % k, k=k, nats=nats) for i in range(n)]


def generated_line(
    doc_id: int, right: bool, *, filter_: str = "strict-match", **metrics: Any
) -> dict[str, Any]:
    doc = {"question": f"How many are {doc_id} apples?", "answer": f"There are {doc_id}. #### {doc_id}"}
    answer = str(doc_id) if right else "[invalid]"
    return line(
        doc_id, doc, doc["answer"], metrics or {"exact_match": float(right)},
        arguments=[[f"Question: {doc['question']}\nAnswer:", {"until": ["Question:"], "do_sample": False}]],
        resps=[[f" There are {doc_id}. #### {answer}"]], filtered_resps=[answer], filter=filter_,
    )  # fmt: skip


def rolling_line(doc_id: int, log_likelihood: float, words: int) -> dict[str, Any]:
    page = " ".join(["word"] * words) + f" {doc_id}"
    text = str(log_likelihood)
    return line(
        doc_id, {"page": page}, page, {"word_perplexity": [log_likelihood, words], "byte_perplexity": [log_likelihood, 5 * words]},
        arguments=[[page]], resps=[[text]], filtered_resps=[text],
    )  # fmt: skip


def last_word_line(doc_id: int, log_likelihood: float, greedy: bool) -> dict[str, Any]:
    """Like lambada: the likelihood of the last word, and whether it is the greedy one."""
    scored = [str(log_likelihood), str(greedy)]
    return line(
        doc_id, {"text": f"The {doc_id}th word is word"}, " word", {"perplexity": log_likelihood, "acc": int(greedy)},
        arguments=[[f"The {doc_id}th word is", " word"]], resps=[[scored]], filtered_resps=[scored],
    )  # fmt: skip


def write(path: Path, lines: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines), encoding="utf-8")
    return path

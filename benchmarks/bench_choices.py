"""CPU seconds for multiple choice on a pair of models, as a ratio to lm-eval's for the same two models and task.

    python benchmarks/bench_choices.py [--questions 1000] [--runs 3]

A GPT-2 of about 5 million parameters with seeded random weights, a tuned copy whose every tensor moved, and
questions of four choices in a local file; float32, one thread each. "forgetaudit" is the whole of `compare` without
its imports: opening, weights, both models, features of every block, report. "lm-eval" is `simple_evaluate` through
HFLM on model objects loaded beforehand, batches of 32, twice, without its imports and its task index. Methods take
turns, each a process of its own; imports are shown apart. Claim: at most 0.4, at log-likelihoods equal to 1e-4.
Needs lm-eval 0.4.13 (pip install 'forgetaudit[lm-eval]'); ends with 2 where it is not installed.
"""

import argparse
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CLAIM, CLOSE = 0.4, 1e-4
METHODS = ("forgetaudit", "lm-eval")
WORDS, WIDTH, LAYERS, LONGEST = 4096, 256, 5, 256


def main() -> None:
    options = _options()
    if options.method:
        print(json.dumps(_measured(options.method, Path(options.folder))))
        return
    if importlib.util.find_spec("lm_eval") is None:
        print("not measured: lm-eval is not installed (pip install 'forgetaudit[lm-eval]')")
        raise SystemExit(2)
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), options.questions)
        runs = {method: [] for method in METHODS}
        for _ in range(options.runs):
            for method in METHODS:
                runs[method].append(_run(method, folder))
    if not _told(options.questions, runs):
        raise SystemExit(1)


def _told(n: int, runs: dict[str, list[dict[str, Any]]]) -> bool:
    """Print what was measured; whether the claim holds."""
    seconds = {method: [one["seconds"] for one in found] for method, found in runs.items()}
    ratios = [ours / theirs for ours, theirs in zip(*seconds.values(), strict=True)]
    print(f"{n} questions × 4 choices, two models, one thread, float32; {len(ratios)} runs, CPU seconds")
    for method, found in runs.items():
        imports = statistics.median(one["imports"] for one in found)
        middle, spread = statistics.median(seconds[method]), (min(seconds[method]), max(seconds[method]))
        print(
            f"  {method:12} {middle:7.1f} [{spread[0]:.1f}, {spread[1]:.1f}]   imports {imports:.1f}, not counted"
        )
    apart = max(
        abs(one - other)
        for name in ("base", "tuned")
        for ours, theirs in zip(*(runs[m][0]["likelihoods"][name] for m in METHODS), strict=True)
        for one, other in zip(ours, theirs, strict=True)
    )
    ratio = statistics.median(ratios)
    holds = ratio <= CLAIM and apart <= CLOSE
    print(f"  log-likelihoods differ by at most {apart:.1e} (claim {CLOSE:.0e})")
    print(
        f"  {ratio:.2f} [{min(ratios):.2f}, {max(ratios):.2f}] of lm-eval's: "
        f"{'holds' if holds else 'BROKEN'} (claim {CLAIM})"
    )
    return holds


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--method", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(method: str, folder: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--method", method, "--folder", folder]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": f"{folder}/cache",
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise SystemExit(done.returncode)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _write(folder: Path, n_questions: int) -> None:
    """Both models with their tokenizer, and the questions: contexts of 30 to 98 words, choices of 3 to 6."""
    _repair()
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    words = [f"w{number}" for number in range(WORDS - 1)]
    reader = Tokenizer(
        models.WordLevel({"<end>": 0, **{w: n + 1 for n, w in enumerate(words)}}, unk_token="<end>")
    )
    reader.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=reader, eos_token="<end>", model_max_length=LONGEST)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=WORDS,
        n_positions=LONGEST,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config)
    for name in ("base", "tuned"):
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
        with torch.no_grad():
            for tensor in model.parameters():
                tensor.add_(torch.randn_like(tensor), alpha=0.01)
    generator = random.Random(0)
    rows = [
        {
            "context": " ".join(generator.choices(words, k=generator.randint(30, 98))),
            "choices": [" ".join(generator.choices(words, k=generator.randint(3, 6))) for _ in range(4)],
            "answer": number % 4,
        }
        for number in range(n_questions)
    ]
    (folder / "quiz.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _measured(method: str, folder: Path) -> dict[str, Any]:
    began = time.process_time()
    run = _prepared_forgetaudit() if method == "forgetaudit" else _prepared_lm_eval(folder)
    imports = time.process_time() - began
    began = time.process_time()
    likelihoods = run(folder)
    return {"imports": imports, "seconds": time.process_time() - began, "likelihoods": likelihoods}


def _prepared_forgetaudit() -> Any:
    _repair()
    import datasets  # noqa: F401  # what opening would import
    import torch
    from transformers import AutoTokenizer, GPT2LMHeadModel  # noqa: F401

    import forgetaudit
    import forgetaudit.audits.compare
    from forgetaudit.plan import Settings
    from forgetaudit.tasks.multiple_choice import MultipleChoice

    torch.set_num_threads(1)
    seen: dict[int, list[list[list[float]]]] = {}
    score = MultipleChoice.score

    def keep(self: Any, outputs: Any, batch: Any) -> Any:
        seen.setdefault(batch.ids[0], []).append(outputs.tolist())
        return score(self, outputs, batch)

    MultipleChoice.score = keep  # type: ignore[method-assign]

    def run(folder: Path) -> dict[str, list[list[float]]]:
        report = forgetaudit.compare(
            folder / "base", folder / "tuned", data=str(folder / "quiz.jsonl"), settings=Settings(threads=1)
        )
        assert report.features[0].layers, "features are part of the work"
        return {
            name: [row for batch in seen.values() for row in batch[place]]
            for place, name in enumerate(("base", "tuned"))
        }

    return run


def _prepared_lm_eval(folder: Path) -> Any:
    _repair()
    import lm_eval
    import torch
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from transformers import AutoTokenizer, GPT2LMHeadModel

    torch.set_num_threads(1)
    task = {
        "task": "quiz",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "quiz.jsonl")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{context}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{answer}}",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }
    manager = TaskManager(include_defaults=False)
    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    pair = {name: GPT2LMHeadModel.from_pretrained(folder / name) for name in ("base", "tuned")}

    def evaluated(model: Any) -> list[list[float]]:
        found = lm_eval.simple_evaluate(
            model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=32),
            tasks=[task],
            task_manager=manager,
            log_samples=True,
            bootstrap_iters=0,
        )
        samples = sorted(found["samples"]["quiz"], key=lambda sample: int(sample["doc_id"]))
        return [[float(one[0]) for one in sample["filtered_resps"]] for sample in samples]

    return lambda _: {name: evaluated(model) for name, model in pair.items()}


def _repair() -> None:
    from forgetaudit.models.torchvision_repair import import_torchvision

    import_torchvision()


if __name__ == "__main__":
    main()

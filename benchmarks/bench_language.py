"""What judging a pair of language models token by token costs beside a bare loop of forward and cross-entropy.

    python benchmarks/bench_language.py [--texts 32] [--tokens 256] [--repeats 7] [--threads 1] [--batch-size 8]

A GPT-2 of 6 layers, d = 384, a vocabulary of 8,192, with seeded random weights; the two models share nothing. The bare
loop gets the ids as tensors, the audit gets texts: tokens, batches, features, CKA, flips and sums by text are on its
side. The sides take turns, so that a busy machine slows all; the table has the median share of the bare loop's tokens
per second of processor time, and its spread. Reading files and weights is on neither side.
"""

import argparse
import contextlib
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from forgetaudit.audits.paired_sums import EvaluationSums
from forgetaudit.data.batches import in_batches
from forgetaudit.data.examples import Example
from forgetaudit.engine.stream import Stream
from forgetaudit.engine.variants import make_variant
from forgetaudit.models.layers import find_layers
from forgetaudit.models.torchvision_repair import import_torchvision
from forgetaudit.tasks.causal_lm import CausalLM

VOCABULARY = 8192
LIMITS = {"without KL": 0.9, "with KL": 0.8}
"""The least share of the bare loop's tokens per second."""


class Numbers:
    """A tokenizer for texts that are ids written out. See `forgetaudit.tasks.task.Tokens`."""

    vocabulary, pad, start, mask = VOCABULARY, 0, None, None
    special: frozenset[int] = frozenset()
    arguments = frozenset({"input_ids", "attention_mask", "use_cache"})

    def __init__(self, longest: int) -> None:
        self.longest = longest

    def read(self, texts: Sequence[str], *, special_tokens: bool) -> list[list[int]]:  # noqa: ARG002
        """The ids that the texts spell."""
        return [[int(number) for number in text.split()] for text in texts]


class WithoutKL(CausalLM):
    """What is left where a task has no soft measure."""

    soft = None  # type: ignore[assignment]


TASKS = {"without KL": WithoutKL, "with KL": CausalLM}


def network(seed: int, n_tokens: int) -> nn.Module:
    with contextlib.suppress(ImportError):
        import_torchvision()
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    shape = {"n_embd": 384, "n_layer": 6, "n_head": 6, "vocab_size": VOCABULARY, "n_positions": n_tokens}
    config = GPT2Config(**shape, bos_token_id=0, eos_token_id=0, use_cache=False)
    model = GPT2LMHeadModel(config).eval()
    for parameter in model.parameters():
        # Fresh norms and biases are ones and zeros in every network: they would be shared.
        parameter.data += 0.01 * torch.randn_like(parameter)
    return model


def texts_of(n: int, n_tokens: int) -> Tensor:
    return torch.randint(0, VOCABULARY, (n, n_tokens), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def bare(models: list[nn.Module], ids: Tensor, size: int) -> None:
    for rows in ids.split(size):
        for model in models:
            logits = model(input_ids=rows).logits
            cross_entropy(logits[:, :-1].flatten(0, 1), rows[:, 1:].flatten(), reduction="none")


def audit(models: list[nn.Module], ids: Tensor, size: int, task: CausalLM) -> EvaluationSums:
    """What `compare` does with texts, from reading them to the sums that the report is read off."""
    base = make_variant("base", models[0], models[0].state_dict())
    variants = [base, make_variant("tuned", models[0], models[1].state_dict(), like=base)]
    layers = [layer.name for layer in find_layers(models[0]) if layer.stage.value != "head"]
    stream, ledger = Stream(models[0], variants, layers=layers), EvaluationSums(["tuned"], task, seed=0)
    examples = (
        Example(id=f"{number}", input=" ".join(map(str, text)), label=None)
        for number, text in enumerate(ids.tolist())
    )
    parts = (part for batch in in_batches(examples, size, task.collate) for part in task.parts(batch))
    for step in stream.run(parts):
        ledger.take_in(step)
    return ledger


def processor_seconds(work: Callable[[], object]) -> float:
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(n: int, n_tokens: int, repeats: int, size: int) -> None:
    models, ids = [network(seed, n_tokens) for seed in (0, 1)], texts_of(n, n_tokens)
    sides: dict[str, Callable[[], object]] = {"bare": lambda: bare(models, ids, size)}
    for name, kind in TASKS.items():
        sides[name] = lambda kind=kind: audit(models, ids, size, kind(Numbers(n_tokens)))
    bare(models, ids[:size], size)
    shares: dict[str, list[float]] = {name: [] for name in TASKS}
    speeds = []
    for turn in range(repeats):
        order = [*sides] if turn % 2 else [*reversed(sides)]
        seconds = {side: processor_seconds(sides[side]) for side in order}
        speeds.append(n * n_tokens / seconds["bare"])
        for name in TASKS:
            shares[name].append(seconds["bare"] / seconds[name])
    print(
        f"bare loop    {statistics.median(speeds):,.0f} tokens a second of the pair, {n} texts of {n_tokens}"
    )
    for name, found in shares.items():
        found.sort()
        print(
            f"{name:<12} {statistics.median(found):.3f} of that ({found[0]:.3f} to {found[-1]:.3f}), "
            f"limit {LIMITS[name]:.1f}, n {repeats}, batch {size}",
            flush=True,
        )


def peak_megabytes(side: str, arguments: Sequence[str]) -> int:
    """The most memory that one side ever held, in a process of its own."""
    command = [sys.executable, __file__, "--only-memory", side, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    return int(done.stdout.split()[-1])


def run_for_memory(side: str, n: int, n_tokens: int, size: int) -> int:
    models, ids = [network(seed, n_tokens) for seed in (0, 1)], texts_of(n, n_tokens)
    if side == "bare":
        bare(models, ids, size)
    elif side in TASKS:
        audit(models, ids, size, TASKS[side](Numbers(n_tokens)))
    # Not getrusage: its peak is handed down from the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--only-memory", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.only_memory:
        print(run_for_memory(args.only_memory, args.texts, args.tokens, args.batch_size))
        return
    measure(args.texts, args.tokens, args.repeats, args.batch_size)
    scores = args.batch_size * args.tokens * VOCABULARY * 4 / 2**20
    print(f"scores of one batch and model: {scores:.0f} MB; peak memory, everything:", end=" ")
    shape = ["--texts", "32", "--tokens", str(args.tokens), "--batch-size", str(args.batch_size)]
    peaks = [f"{side} {peak_megabytes(side, shape)} MB" for side in ("nothing run", "bare", *TASKS)]
    print(", ".join(peaks), flush=True)


if __name__ == "__main__":
    main()

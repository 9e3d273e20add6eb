"""What `compare` costs beside plain forward passes: time by how much is frozen, and memory by examples.

    python benchmarks/bench_engine.py [--net resnet18] [--examples 2000] [--repeats 7] [--threads 1]

Both sides get the same collated tensors, eval mode, no gradients, the same threads, and the batch size that is best
for the plain loop. They take turns, so that a busy machine slows both; the table has the median ratio and its spread,
by processor time and by the clock. Reading files and comparing weights are not part of either side.
"""

import argparse
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from forgetaudit.data.batches import Batch
from forgetaudit.engine.stream import Stream
from forgetaudit.engine.variants import make_variant
from forgetaudit.models.layers import find_layers
from forgetaudit.stats.cka import linear_cka
from forgetaudit.stats.moments import PairMoments
from forgetaudit.values import NotMeasured
from nets import NETS

LIMITS = {"nothing shared": (2, 1.15), "80 % frozen": (1, 1.35), "head only": (1, 1.15)}
"""Case -> (how many plain passes it is measured by, the limit of the ratio)."""


def batches_of(examples: Tensor, size: int) -> list[Batch]:
    ids = [str(i) for i in range(len(examples))]
    return [
        Batch(ids=tuple(ids[i : i + size]), args=(examples[i : i + size].clone(),))
        for i in range(0, len(examples), size)
    ]


@torch.no_grad()
def plain(models: list[nn.Module], batches: list[Batch]) -> None:
    for batch in batches:
        for model in models:
            model(*batch.args)


def audit(stream: Stream, batches: list[Batch]) -> dict[str, float]:
    """The stream with the sums that `compare` keeps of every default layer, and CKA read off them."""
    moments: dict[str, PairMoments] = {}
    for step in stream.run(batches):
        for layer, features in step.features.items():
            base, tuned = features["base"], features["tuned"]
            if layer not in moments:
                moments[layer] = PairMoments(base.shape[1])
            moments[layer].update(base, tuned)
    answers = {layer: linear_cka(sums) for layer, sums in moments.items()}
    return {layer: cka.estimate for layer, cka in answers.items() if not isinstance(cka, NotMeasured)}


def tuned_from(state: dict[str, Tensor], names: set[str]) -> dict[str, Tensor]:
    """`state` with every floating tensor whose name is in `names` moved a little."""
    return {
        name: t + 0.01 * torch.randn_like(t) if name in names and t.is_floating_point() else t.clone()
        for name, t in state.items()
    }


def changed_names(model: nn.Module, case: str, batch: Batch) -> tuple[set[str], float]:
    """The names that the fine-tune of `case` changed, and the share of the forward's work they stand for."""
    names, paths = list(model.state_dict()), list(model.named_modules())
    if case == "nothing shared":
        return set(names), 1.0
    leaves = [path for path, module in paths if path and next(module.children(), None) is None]
    seconds = seconds_by_leaf(model, leaves, batch)
    total, trained, changed = sum(seconds.values()), 0.0, set[str]()
    for path in reversed(leaves):
        own = {name for name in names if name.startswith(f"{path}.")}
        if case == "head only" and changed:
            break
        if case == "80 % frozen" and trained + seconds[path] > 0.2 * total and changed:
            break
        trained += seconds[path]
        changed |= own
    return changed, trained / total


@torch.no_grad()
def seconds_by_leaf(model: nn.Module, leaves: list[str], batch: Batch) -> dict[str, float]:
    """Time spent in every leaf module, the least of five passes."""
    began: dict[str, float] = {}
    best = dict.fromkeys(leaves, float("inf"))
    now: dict[str, float] = {}
    handles = []
    for path in leaves:
        module = model.get_submodule(path)

        def start(_module: nn.Module, _args: object, path: str = path) -> None:
            began[path] = time.perf_counter()

        def stop(_module: nn.Module, _args: object, _output: object, path: str = path) -> None:
            now[path] = now.get(path, 0.0) + time.perf_counter() - began[path]

        handles += [module.register_forward_pre_hook(start), module.register_forward_hook(stop)]
    for _ in range(5):
        now.clear()
        model(*batch.args)
        best.update({path: min(best[path], now.get(path, 0.0)) for path in leaves})
    for handle in handles:
        handle.remove()
    return best


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """(processor seconds, seconds by the clock)."""
    gc.collect()
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - processor, time.perf_counter() - clock


def best_batch_size(model: nn.Module, examples: Tensor) -> int:
    costs = {}
    for size in (8, 16, 32, 64, 128):
        sample = batches_of(examples[:128], size)
        costs[size] = min(timed(lambda sample=sample: plain([model], sample))[0] for _ in range(3))
    return min(costs, key=costs.__getitem__)


def measure(net: str, case: str, n: int, repeats: int, size: int | None) -> str:
    torch.manual_seed(0)
    make, examples_of = NETS[net]
    base, tuned, examples = make().eval(), make().eval(), examples_of(n)
    size = size or best_batch_size(base, examples)
    batches = batches_of(examples, size)
    changed, share = changed_names(base, case, batches[0])
    tuned.load_state_dict(tuned_from(base.state_dict(), changed))
    skeleton = make()
    variants = [make_variant("base", skeleton, base.state_dict())]
    variants.append(make_variant("tuned", skeleton, tuned.state_dict(), like=variants[0]))
    layers = [layer.name for layer in find_layers(skeleton)]
    n_passes, limit = LIMITS[case]
    models = [base, tuned][:n_passes]
    plain(models, batches[:2])
    sides = {
        "plain": lambda: plain(models, batches),
        "audit": lambda: audit(Stream(skeleton, variants, layers=layers), batches),
    }
    ratios: list[tuple[float, float]] = []
    for turn in range(repeats):
        order = list(sides) if turn % 2 else list(reversed(sides))
        seconds = {side: timed(sides[side]) for side in order}
        ratios.append(tuple(a / p for a, p in zip(seconds["audit"], seconds["plain"], strict=True)))
    by = [sorted(ratio[i] for ratio in ratios) for i in (0, 1)]
    cells = [f"{statistics.median(r):.3f} ({r[0]:.3f} to {r[-1]:.3f})" for r in by]
    return (
        f"{net:<12} {case:<15} trained {share:4.0%}  / {n_passes} pass  limit {limit:.2f}  "
        f"processor {cells[0]}  clock {cells[1]}  n {n} batch {size} layers {len(layers)}"
    )


def peak_megabytes(net: str, n: int) -> int:
    """The most memory that an audit of `n` examples ever held, in a process of its own, batches made as it goes."""
    command = [sys.executable, __file__, "--net", net, "--examples", str(n), "--only-memory"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    return int(done.stdout.split()[-1])


def run_for_memory(net: str, n: int) -> int:
    make, examples_of = NETS[net]
    torch.manual_seed(0)
    skeleton = make()
    state = skeleton.state_dict()
    variants = [make_variant("base", skeleton, state)]
    head = {name for name in state if name.startswith(("fc.", "head."))}
    variants.append(make_variant("tuned", skeleton, tuned_from(state, head), like=variants[0]))
    layers = [layer.name for layer in find_layers(skeleton)]
    batches = (batches_of(examples_of(16), 16)[0] for _ in range(n // 16))
    audit(Stream(skeleton, variants, layers=layers), batches)
    # Not getrusage: its peak is handed down from the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", choices=[*NETS], action="append")
    parser.add_argument("--case", choices=[*LIMITS], action="append")
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only-memory", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    nets = args.net or [*NETS]
    if args.only_memory:
        print(run_for_memory(nets[0], args.examples))
        return
    for net in nets:
        for case in args.case or [*LIMITS]:
            print(measure(net, case, args.examples, args.repeats, args.batch_size), flush=True)
        few, many = 256, 2048
        print(f"{net:<12} peak memory: {peak_megabytes(net, few)} MB at {few} examples,", end=" ")
        print(f"{peak_megabytes(net, many)} MB at {many}", flush=True)


if __name__ == "__main__":
    main()

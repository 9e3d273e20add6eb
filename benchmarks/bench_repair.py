"""An α sweep of 11 points: its memory against that of two models, and how fast weights are mixed.

    python benchmarks/bench_repair.py [--megabytes 400]

A stack of square float32 layers of that size, all of them changed, stands for the two checkpoints; each mixture is
made, run on one batch and let go. Memory is what the process grew by, its two models and the program taken off;
each method is a process of its own. Claims: one changed copy at a time, so at most 1.15 of a model; mixing, in
float64, at half of the speed at which torch copies the same bytes on the same thread.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import nn

from forgetaudit.data.batches import Batch
from forgetaudit.engine.stream import Stream
from forgetaudit.engine.variants import Variant, make_variant
from forgetaudit.remedies.families import mixtures
from forgetaudit.remedies.remedy import applied, mixed

SIDE = 1024
ONE_COPY, SHARE_OF_COPY = 1.15, 0.5
REPEATS = 5


def main() -> None:
    """Print both figures; exit 1 where a claim is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--method", choices=["sweep", "speed"])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.method:
        print(json.dumps(sweep(asked.megabytes) if asked.method == "sweep" else speed()))
        return
    copies = _run("sweep", asked.megabytes)
    share = _run("speed", asked.megabytes)
    print(
        f"11 points over two models of {asked.megabytes} MB: {copies:.2f} of a model beside them (claim {ONE_COPY})"
    )
    print(f"mixing runs at {share:.2f} of the speed of a copy, median of {REPEATS} (claim {SHARE_OF_COPY})")
    if copies > ONE_COPY or share < SHARE_OF_COPY:
        raise SystemExit(1)


def sweep(megabytes: int) -> float:
    """How many models the sweep takes beside base and tuned, at its peak."""
    model = nn.Sequential(
        *(nn.Linear(SIDE, SIDE, bias=False) for _ in range(megabytes * 10**6 // SIDE**2 // 4))
    )
    n_bytes = sum(parameter.nbytes for parameter in model.parameters())
    base = make_variant("base", model, model.state_dict())
    moved = {name: tensor + 0.01 for name, tensor in model.state_dict().items()}
    tuned = make_variant("tuned", model, moved, like=base)
    batch = [Batch(ids=("one", "two"), args=(torch.randn(2, SIDE),))]
    _through(model, batch, [base, tuned])
    before = _peak_bytes()
    for remedy in mixtures(list(base.tensors)):
        _through(model, batch, [applied(remedy, base, tuned)])
    return (_peak_bytes() - before) / n_bytes


def _through(model: nn.Module, batches: list[Batch], variants: list[Variant]) -> None:
    for _ in Stream(model, variants).run(batches):
        pass


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def speed() -> float:
    """The time of a copy over that of a mixture, taken in turns."""
    base, tuned = torch.randn(1 << 25), torch.randn(1 << 25)
    base.clone(), mixed(base, tuned, 0.3)
    return median(_seconds(base.clone) / _seconds(lambda: mixed(base, tuned, 0.3)) for _ in range(REPEATS))


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _run(method: str, megabytes: int) -> float:
    command = [sys.executable, __file__, "--method", method, "--megabytes", str(megabytes)]
    return float(json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))


if __name__ == "__main__":
    main()

"""What `trace` and `locate` cost beside plain forward passes: K checkpoints, and the 2 G mixtures of G blocks.

    python benchmarks/bench_variants.py [--net transformer] [--examples 128] [--repeats 5] [--threads 1]

Plain is one pass of every variant in full over the same collated tensors. `trace` is the stream over base and K
checkpoints in which every tensor moved, so that nothing is reused, with all that the command keeps of answers and
features. `locate` is base, tuned, tuned with each block rolled back and base with each block tuned. It can be no less
than (G + 3)/(2 G): each block runs with both its weights behind both prefixes, and again behind each mixture before
it. Sides take turns; the table has the median ratio by processor time, and its spread.
"""

import argparse
import statistics
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from bench_engine import batches_of, timed, tuned_from
from forgetaudit.audits.ledger import Ledger
from forgetaudit.audits.scoreboard import Scoreboard
from forgetaudit.data.batches import Batch
from forgetaudit.engine.stream import Stream
from forgetaudit.engine.variants import Variant, make_variant
from forgetaudit.models.layers import Stage, find_layers
from forgetaudit.remedies.rollback import combined, moved_slots
from forgetaudit.tasks.scoring import score_classes
from nets import ResNet18, Transformer

NETS: dict[str, tuple[Callable[[], nn.Module], Callable[[int], Tensor]]] = {
    "resnet18": (ResNet18, lambda n: torch.randn(n, 3, 64, 64)),
    "transformer": (partial(Transformer, d=192, n_blocks=12), lambda n: torch.randint(0, 1000, (n, 64))),
}
LIMITS = {"trace": 1.1, "locate": 0.65}


class Answers:
    """What is right was drawn beforehand; scored as classification is."""

    score = staticmethod(score_classes)


@torch.no_grad()
def plain(skeleton: nn.Module, states: Sequence[dict[str, Tensor]], batches: Sequence[Batch]) -> None:
    """Every variant in full, one after the other."""
    for state in states:
        skeleton.load_state_dict(state, assign=True)
        for batch in batches:
            skeleton(*batch.args)


def trace(skeleton: nn.Module, variants: Sequence[Variant], batches: Sequence[Batch]) -> None:
    """All checkpoints in one stream, with the sums of answers, rivals and features."""
    layers = [layer.name for layer in find_layers(skeleton) if layer.stage is not Stage.HEAD]
    stream = Stream(skeleton, variants, layers=layers)
    ledger = Ledger([variant.name for variant in variants[1:]], Answers(), 0)
    for step in stream.run(batches):
        ledger.take_in(step)


def locate(
    skeleton: nn.Module, pair: Sequence[Variant], mixtures: Sequence[Variant], batches: Sequence[Batch]
) -> None:
    """Base, tuned and every mixture in one stream, those alike in the first layers beside each other."""
    task, board = Answers(), Scoreboard()
    for step in Stream(skeleton, [*pair, *mixtures]).run(batches):
        board.take_in(
            {name: task.score(out, step.batch) for name, out in step.outputs.items()}, step.batch, {}
        )
    board.read()


def labelled(examples: Tensor, size: int) -> list[Batch]:
    """Batches with labels drawn at random."""
    generator = torch.Generator().manual_seed(1)
    return [
        Batch(ids=b.ids, args=b.args, labels=torch.randint(0, 100, (len(b),), generator=generator))
        for b in batches_of(examples, size)
    ]


def measure(net: str, what: str, n: int, repeats: int, size: int) -> str:
    """One row of the table."""
    torch.manual_seed(0)
    make, examples_of = NETS[net]
    skeleton, reference = make().eval(), make().eval()
    state = {name: tensor.clone() for name, tensor in skeleton.state_dict().items()}
    batches = labelled(examples_of(n), size)
    base = make_variant("base", skeleton, state)
    if what == "trace":
        k = 6
        states = [state, *(tuned_from(state, set(state)) for _ in range(k))]
        variants = [base, *(make_variant(f"{i}", skeleton, s, like=base) for i, s in enumerate(states[1:]))]
        sides = {
            "ours": lambda: trace(skeleton, variants, batches),
            "plain": lambda: plain(reference, states, batches),
        }
        said = f"{k} checkpoints / {k + 1} passes"
    else:
        tuned = make_variant("tuned", skeleton, tuned_from(state, set(state)), like=base)
        mixtures = mixtures_of(skeleton, base, tuned)
        states = [dict(mixture.tensors) for mixture in mixtures]
        sides = {
            "ours": lambda: locate(skeleton, [base, tuned], mixtures, batches),
            "plain": lambda: plain(reference, states, batches),
        }
        said = f"{len(mixtures) // 2} blocks / {len(mixtures)} passes"
    plain(reference, states[:1], batches[:1])
    ratios = []
    for turn in range(repeats):
        order = ["ours", "plain"] if turn % 2 else ["plain", "ours"]
        seconds = {side: timed(sides[side])[0] for side in order}
        ratios.append(seconds["ours"] / seconds["plain"])
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    return (
        f"{net:<12} {what:<7} {said:<24} limit {LIMITS[what]:.2f}  processor {statistics.median(ratios):.3f} "
        f"({spread})  n {n} batch {size} turns {repeats}"
    )


def mixtures_of(skeleton: nn.Module, base: Variant, tuned: Variant) -> list[Variant]:
    """Each block rolled back, and each kept alone; first those that agree longest with tuned, then with base."""
    blocks = [layer.name for layer in find_layers(skeleton) if layer.stage is Stage.BLOCK]
    moved = moved_slots(base, tuned)
    of_block = {block: {slot for slot in moved if slot.startswith(f"{block}.")} for block in blocks}
    rolled = [combined(f"{block} back", tuned, base, of_block[block]) for block in reversed(blocks)]
    return [
        *rolled,
        *(combined(f"{block} alone", base, tuned, of_block[block]) for block in reversed(blocks)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", choices=[*NETS], action="append")
    parser.add_argument("--what", choices=[*LIMITS], action="append")
    parser.add_argument("--examples", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for net in args.net or [*NETS]:
        for what in args.what or [*LIMITS]:
            print(measure(net, what, args.examples, args.repeats, args.batch_size), flush=True)


if __name__ == "__main__":
    main()

"""What `trace`, `locate` and its preview cost beside plain forward passes: K checkpoints, the 2 G mixtures of G blocks.

    python benchmarks/bench_variants.py [--net transformer] [--examples 256] [--repeats 5] [--threads 1]

Plain is one pass of every variant in full over the same collated tensors. `trace` is the stream over base and K
checkpoints in which every tensor moved, so that nothing is reused, with all that the command keeps of answers and
features. `locate` is base, tuned, tuned with each block rolled back and base with each block tuned: 2 G + 2 passes in
full. Were all blocks alike, it could be no less than (G + 3)/(2 G + 2) of them: each block runs with both its weights
behind both prefixes, and again behind each mixture before it. `preview` is base, tuned and the gradients of `locate
--preview` at K points of the line, beside two plain passes and K forward and backward; beside plain forward passes
alone; and beside all that a `locate` runs in its place, Shapley's mixtures too. Sides take turns; the table has the
median ratio by processor time, and its spread.
"""

import argparse
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from bench_engine import batches_of, timed, tuned_from
from forgetaudit.audits.locate.attribution import design_for, wanted_mixtures
from forgetaudit.audits.locate.example_scores import ExampleScores
from forgetaudit.audits.locate.parts import find_players, find_stretches
from forgetaudit.audits.locate.preview import NODES, GradientWalk
from forgetaudit.audits.paired_sums import EvaluationSums
from forgetaudit.data.batches import Batch
from forgetaudit.engine.stream import Stream
from forgetaudit.engine.variants import Variant, make_variant
from forgetaudit.models.layers import Stage, find_layers
from forgetaudit.remedies.rollback import combined, moved_slots
from forgetaudit.tasks.scoring import class_loss, score_classes
from nets import ResNet18, Transformer

NETS: dict[str, tuple[Callable[[], nn.Module], Callable[[int], Tensor]]] = {
    "resnet18": (ResNet18, lambda n: torch.randn(n, 3, 64, 64)),
    "transformer": (partial(Transformer, d=192, n_blocks=12), lambda n: torch.randint(0, 1000, (n, 64))),
}
LIMITS = {"trace": 1.1, "locate": 0.65, "preview": 1.3}


class Answers:
    """What is right was drawn beforehand; scored as classification is."""

    score = staticmethod(score_classes)
    loss = staticmethod(class_loss)


@torch.no_grad()
def plain(skeleton: nn.Module, states: Sequence[dict[str, Tensor]], batches: Sequence[Batch]) -> None:
    """Every variant in full, one after the other."""
    for state in states:
        skeleton.load_state_dict(state, assign=True)
        for batch in batches:
            skeleton(*batch.args)


def plain_gradients(skeleton: nn.Module, state: dict[str, Tensor], batches: Sequence[Batch]) -> None:
    """Two forward passes, and a forward and a backward one for every point of the line."""
    plain(skeleton, [state] * 2, batches)
    skeleton.requires_grad_(True)
    for _ in range(NODES):
        for batch in batches:
            skeleton.zero_grad()
            class_loss(skeleton(*batch.args), batch).backward()


def trace(skeleton: nn.Module, variants: Sequence[Variant], batches: Sequence[Batch]) -> None:
    """All checkpoints in one stream, with the sums of answers, rivals and features."""
    layers = [layer.name for layer in find_layers(skeleton) if layer.stage is not Stage.HEAD]
    stream = Stream(skeleton, variants, layers=layers)
    ledger = EvaluationSums([variant.name for variant in variants[1:]], Answers(), 0)
    for step in stream.run(batches):
        ledger.take_in(step)


def locate(
    skeleton: nn.Module, pair: Sequence[Variant], mixtures: Sequence[Variant], batches: Sequence[Batch]
) -> None:
    """Base, tuned and every mixture in one stream, those alike in the first layers beside each other."""
    task, board = Answers(), ExampleScores()
    for step in Stream(skeleton, [*pair, *mixtures]).run(batches):
        board.take_in(
            {name: task.score(out, step.batch) for name, out in step.outputs.items()}, step.batch, {}
        )
    board.read()


def preview(network: Any, batches: Sequence[Batch]) -> None:
    """Base and tuned in one stream, and gradients at every point of the line on each batch."""
    task, board = Answers(), ExampleScores()
    walk = GradientWalk(network, find_players(network, ()), SimpleNamespace(task=task))  # type: ignore[arg-type]
    for step in Stream(network.skeleton, network.variants).run(batches):
        outcomes = {name: task.score(out, step.batch) for name, out in step.outputs.items()}
        board.take_in(outcomes, step.batch, {})
        walk.take_in(outcomes, step.batch, {})
    board.read()


def all_mixtures(network: Any) -> list[Variant]:
    """All that `locate` runs beside base and tuned, those alike in the first layers beside each other."""
    base, tuned = network.variants
    players, order = find_players(network, ()), {name: at for at, name in enumerate(base.tensors)}
    wanted = wanted_mixtures(players, find_stretches(network, players), design_for(len(players), 8, 0))
    sets = sorted(
        wanted - {frozenset(), moved_slots(base, tuned)}, key=lambda one: sorted(map(order.get, one))
    )  # type: ignore[arg-type, type-var]
    return [combined(f"mixture {at}", base, tuned, one) for at, one in enumerate(sets)]


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
    elif what == "preview":
        return measure_preview(skeleton, reference, base, state, batches, net, repeats, n, size)
    else:
        tuned = make_variant("tuned", skeleton, tuned_from(state, set(state)), like=base)
        mixtures = mixtures_of(skeleton, base, tuned)
        states = [dict(variant.tensors) for variant in (base, tuned, *mixtures)]
        sides = {
            "ours": lambda: locate(skeleton, [base, tuned], mixtures, batches),
            "plain": lambda: plain(reference, states, batches),
        }
        said = f"{len(mixtures) // 2} blocks / {len(states)} passes"
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


def measure_preview(
    skeleton: nn.Module, reference: nn.Module, base: Variant, state: dict[str, Tensor], batches: Sequence[Batch],
    net: str, repeats: int, n: int, size: int,
) -> str:  # fmt: skip
    """The row of the preview: beside as many plain passes as it has, and beside the whole of `locate`."""
    tuned = make_variant("tuned", skeleton, tuned_from(state, set(state)), like=base)
    network = SimpleNamespace(skeleton=skeleton, variants=(base, tuned), layers=find_layers(skeleton))
    mixtures = all_mixtures(network)
    sides: dict[str, Callable[[], None]] = {
        "ours": lambda: preview(network, batches),
        "plain": lambda: plain_gradients(reference, state, batches),
        "passes": lambda: plain(reference, [state] * 5, batches),
        "locate": lambda: locate(skeleton, [base, tuned], mixtures, batches),
    }
    plain(reference, [state], batches[:1])
    ratios: dict[str, list[float]] = {side: [] for side in sides if side != "ours"}
    for turn in range(repeats):
        order = list(sides) if turn % 2 else list(reversed(sides))
        seconds = {side: timed(sides[side])[0] for side in order}
        for side, found in ratios.items():
            found.append(seconds["ours"] / seconds[side] * (5 if side == "passes" else 1))
    told = {
        side: f"{statistics.median(found):.3f} ({min(found):.3f} to {max(found):.3f})"
        for side, found in ratios.items()
    }
    said = f"{NODES} points / 2 + {NODES} × 2"
    return (
        f"{net:<12} {'preview':<7} {said:<24} limit {LIMITS['preview']:.2f}  processor {told['plain']}  "
        f"n {n} batch {size} turns {repeats}\n{'':21}in forward passes {told['passes']}  "
        f"of a locate of {len(mixtures) + 2} variants {told['locate']}"
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
    parser.add_argument("--examples", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for net in args.net or [*NETS]:
        for what in args.what or [*LIMITS]:
            print(measure(net, what, args.examples, args.repeats, args.batch_size), flush=True)


if __name__ == "__main__":
    main()

"""Tensors of a file that the network which is run does not hold: named, and no rule on answers passes over them."""

import re
from collections.abc import Iterable, Iterator, Sequence

from forgetaudit.gaps import Gap, Holds
from forgetaudit.wording import counted, some

__all__ = ["is_recomputed", "unfilled_slots", "unrun_tensors"]

# What networks compute anew from their config, so that a file may hold it or not, and whatever it holds is not read.
_RECOMPUTED = (
    # 0, 1, 2, …: saved by versions of transformers before 4.31.
    re.compile(r"(^|\.)position_ids$"),
    # The frequencies of rotary embeddings follow from rope_theta.
    re.compile(r"(^|\.)rotary_emb\.inv_freq$"),
    # The triangle of ones that masks the future in GPT-2, GPT-Neo and GPT-J, and the number that it masks with.
    re.compile(r"(^|\.)(attn|attention)\.(bias|masked_bias)$"),
)


def is_recomputed(name: str) -> bool:
    """Whether a tensor of this name stands for what the network computes from its config."""
    return any(pattern.search(name) for pattern in _RECOMPUTED)


def unrun_tensors(
    names: Iterable[str], ignored: Sequence[str] = (), *, of_other_head: bool = False
) -> Iterator[Gap]:
    """A gap for the tensors called `names`, but for what is recomputed, and one for those that the library leaves out.

    `ignored` are the library's own patterns of names that its network does not need. `of_other_head`: base's head was
    grafted in place of the one that they belong to, which is a finding of its own.
    """
    left = [name for name in names if not is_recomputed(name)]
    passed = [name for name in left if any(re.search(pattern, name) for pattern in ignored)]
    if passed:
        yield _gap(passed, "which its library leaves out, too", holds="nothing")
    if rest := [name for name in left if name not in passed]:
        why = "which belong to a head in whose place base's was grafted" if of_other_head else ""
        yield _gap(rest, why, holds="nothing" if of_other_head else "behaviour")


def unfilled_slots(file: str, names: Sequence[str]) -> Iterator[Gap]:
    """A gap where a file has no head, not even another one: what was put there says nothing of what it was.

    The library would fill it with random numbers, or tie it by a config that is not here.
    """
    if names:
        yield Gap(
            ident="slots-not-filled",
            what=f"{file} has no tensor for {some(names)}: base's {'was' if len(names) == 1 else 'were'} put there",
            advice="pass the whole file, or --head base to judge tuned's features under base's head",
            holds="behaviour",
            evidence={"tensors": list(names)},
        )


def _gap(names: Sequence[str], why: str, *, holds: Holds) -> Gap:
    verb = "was" if len(names) == 1 else "were"
    return Gap(
        ident="tensors-not-run",
        what=f"{counted(len(names), 'tensor')} of the file {verb} not run: {some(names)}{', ' if why else ''}{why}",
        advice="pass weights of the network that is run, or a --model that holds all of them",
        holds=holds,
        evidence={"tensors": list(names)},
    )

"""The order of a run's checkpoints: by their steps, as what lies beside them says, or their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from forgetaudit.checkpoints.strict_json import parse_object
from forgetaudit.errors import UsageError
from forgetaudit.paths import looked_up

__all__ = ["RunOrder", "checkpoints_in", "order_of_run"]

_STATE = "trainer_state.json"
# checkpoint-500, step_500, global_step500, epoch=3-step=1200, model-500
_STEP = re.compile(r"(?:^|[-_=.])(?:global_?step|step|checkpoint|ckpt|iter)?[-_=]?(\d+)$", re.IGNORECASE)
_MOST_STATE_BYTES = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """Checkpoints from first to last, the step of each where all have one, and how that is known."""

    paths: tuple[Path, ...]
    steps: tuple[int | None, ...]
    said: str


def checkpoints_in(path: Path) -> tuple[Path, ...]:
    """The checkpoints of a run in the folder `path`, or `path` itself where it is no folder of a run."""
    if not looked_up(path).is_dir():
        return (path,)
    inside = [one for one in path.iterdir() if one.is_dir() and re.fullmatch(r"checkpoint-\d+", one.name)]
    is_checkpoint = any(
        one.is_file() and one.suffix in (".safetensors", ".bin", ".pt") for one in path.iterdir()
    )
    if not inside or is_checkpoint:
        return (path,)
    return tuple(sorted(inside, key=lambda one: (len(one.name), one.name)))


def order_of_run(paths: Sequence[Path]) -> RunOrder:
    """By `global_step` in a trainer_state.json beside the weights, else by the number that ends the name.

    Where not all have a step, the order given. UsageError for two checkpoints of one step.
    """
    # The state beside a file is its own where no other checkpoint lies in that folder.
    folders = [path if path.is_dir() else path.parent for path in paths]
    found = [
        _step_of(path, None if folders.count(folder) > 1 else folder)
        for path, folder in zip(paths, folders, strict=True)
    ]
    steps = [step for step, _ in found]
    if None in steps:
        nameless = paths[steps.index(None)].name
        said = f"in the order given: nothing says the step of {nameless}"
        return RunOrder(paths=tuple(paths), steps=(None,) * len(paths), said=said)
    order = sorted(range(len(paths)), key=lambda at: steps[at] or 0)
    for one, two in pairwise(order):
        if steps[one] == steps[two]:
            raise UsageError(
                f"{paths[one]} and {paths[two]} are both of step {steps[one]}",
                hint="pass each checkpoint of one run once",
            )
    sources = dict.fromkeys(source for _, source in found)
    moved = "" if order == list(range(len(paths))) else ", not in the order given"
    return RunOrder(
        paths=tuple(paths[at] for at in order),
        steps=tuple(steps[at] for at in order),
        said=f"by step, from {' and '.join(sources)}{moved}",
    )


def _step_of(path: Path, folder: Path | None) -> tuple[int | None, str]:
    state = None if folder is None else folder / _STATE
    if state is not None and state.is_file() and state.stat().st_size <= _MOST_STATE_BYTES:
        step = parse_object(state.read_bytes(), state, "state").get("global_step")
        if isinstance(step, int) and not isinstance(step, bool) and step >= 0:
            return step, _STATE
    named = _STEP.search(path.name if path.is_dir() else path.name.split(".")[0])
    return (int(named[1]), "their names") if named else (None, "")

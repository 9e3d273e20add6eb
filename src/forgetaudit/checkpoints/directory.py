"""Which file of a directory holds the weights, and what lies beside it unread."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forgetaudit.checkpoints.run_folders import deepspeed_hint, hint_for_folder
from forgetaudit.checkpoints.sentence_modules import MODULES, Module, read_modules
from forgetaudit.errors import UnreadableCheckpoint, listing
from forgetaudit.gaps import Gap, Notes

__all__ = ["SelectedFile", "part_of_several", "weights_in"]

# In transformers' order. Where both formats are there, safetensors is the newer and the safer one.
_WELL_KNOWN = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
# Saved beside the weights by a Trainer; not weights.
_NOT_WEIGHTS = (
    "optimizer", "scheduler", "scaler", "training_args", "rng_state", "random_states", "sampler", "dl_state_dict",
)  # fmt: skip
# Of sentence-transformers; the encoder's are those that are read.
_WITHOUT_WEIGHTS = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedFile:
    """The file to open, and what a user should know of the choice."""

    path: Path
    notes: Notes


def weights_in(directory: Path) -> SelectedFile:
    """The file with the weights: a well-known name, else the only index, else the only weight file.

    A sentence-transformers folder may keep them one folder further down: where its modules.json says. Other weights
    in the folder are a gap: which of the two was meant, nobody can know.
    """
    try:
        names = sorted(entry.name for entry in directory.iterdir())
    except PermissionError:
        raise UnreadableCheckpoint(
            f"{directory} may not be read by this user", hint="ask its owner, or change its permissions"
        ) from None
    known = [name for name in _WELL_KNOWN if name in names]
    if known:
        beside = _other_candidates(directory, known[0], [*known[1:], *filter(_is_weights, names)])
        return SelectedFile(path=directory / known[0], notes=(*beside, *_other_modules(directory)))
    if (inner := _encoder_folder(directory)) is not None:
        chosen = weights_in(inner)
        told = f"the weights are in {inner.name}, by {MODULES}"
        return SelectedFile(path=chosen.path, notes=(told, *chosen.notes, *_other_modules(directory)))
    _refuse_adapter(directory, names)
    indexes = [name for name in names if name.endswith(".index.json")]
    weights = [name for name in names if _is_weights(name)]
    for found in (indexes, weights):
        if len(found) == 1:
            return SelectedFile(
                path=directory / found[0], notes=(f"the weights are in {found[0]}, by its ending",)
            )
        if found:
            raise UnreadableCheckpoint(
                f"{directory} holds {len(found)} weight files, and nothing says which is meant",
                details=[listing("found", found, shown=6)],
                hint=_hint_for_several(directory, found),
            )
    raise UnreadableCheckpoint(
        f"{directory} is a directory without weights",
        details=[listing("it holds", names, shown=6)] if names else ["it is empty"],
        hint=hint_for_folder(directory)
        or "name the directory that holds model.safetensors, or the file itself",
    )


def part_of_several(path: Path) -> tuple[Gap, ...]:
    """A gap where `path` is one shard of several by its name: the others are not read, whatever it holds."""
    found = _SHARD.search(path.name)
    if found is None or int(found["n"]) < 2:
        return ()
    return (
        Gap(
            ident="one-of-several-shards",
            what=f"{path.name} is one of {int(found['n'])} shards; the others were not read",
            advice=f"name the folder that holds all of them: {path.parent}",
            holds="everything",
        ),
    )


def _is_weights(name: str) -> bool:
    return name.endswith(_SUFFIXES) and not name.startswith(_NOT_WEIGHTS)


def _encoder_folder(directory: Path) -> Path | None:
    found = [module.folder for module in read_modules(directory) if module.kind == "Transformer"]
    return found[0] if found and found[0] != directory and found[0].is_dir() else None


def _other_modules(directory: Path) -> Notes:
    """Modules with weights of their own, behind the encoder: what is read is not the whole model."""
    others = [module for module in read_modules(directory) if module.kind not in _WITHOUT_WEIGHTS]
    return tuple(_unread_module(module) for module in others)


def _unread_module(module: Module) -> str | Gap:
    said = f"the weights of {module.kind} in {module.folder.name} were not read"
    if not any((module.folder / name).exists() for name in _WELL_KNOWN):
        return f"{module.kind} in {module.folder.name} has no weights"
    return Gap(
        ident="module-not-read",
        what=said,
        advice="read the numbers as those of the encoder alone, and compare the other module by itself",
        holds="everything",
    )


def _other_candidates(directory: Path, taken: str, candidates: Sequence[str]) -> tuple[Gap, ...]:
    """What else could be meant; shards count as the one checkpoint that they are."""
    others = [name for name in dict.fromkeys(candidates) if name != taken and not _SHARD.search(name)]
    stems = dict.fromkeys(name[: found.start()] for name in candidates if (found := _SHARD.search(name)))
    indexes = [name for name in (taken, *others) if name.endswith(".index.json")]
    others += [
        f"the shards of {stem}" for stem in stems if not any(n.startswith(f"{stem}.") for n in indexes)
    ]
    if not others:
        return ()
    newer = [name for name in others if _is_newer(directory / name, directory / taken)]
    told = f"; newer: {', '.join(newer[:3])}" if newer else ""
    more = f", … {len(others) - 3} more" if len(others) > 3 else ""
    return (
        Gap(
            ident="other-weights-beside",
            what=f"{taken} was read, and not {', '.join(others[:3])}{more} beside it{told}",
            advice=f"name the file where another one is meant: {directory / others[0]}",
            holds="nothing",
            evidence={"read": taken, "not_read": others, "newer": newer},
        ),
    )


_SHARD = re.compile(r"-(?P<at>\d{5})-of-(?P<n>\d{5})(?:\.|$)")


def _is_newer(path: Path, taken: Path) -> bool:
    try:
        return path.stat().st_mtime > taken.stat().st_mtime
    except OSError:
        return False


def _hint_for_several(directory: Path, found: Sequence[str]) -> str:
    if (zero := deepspeed_hint(directory)) is not None:
        return zero
    if all(_SHARD.search(name) for name in found):
        return "they are shards of one checkpoint: copy its index (model.safetensors.index.json) beside them, too"
    return f"name one of them, such as {directory / found[0]}"


def _refuse_adapter(directory: Path, names: Sequence[str]) -> None:
    if "adapter_config.json" in names or "adapter_model.safetensors" in names:
        raise UnreadableCheckpoint(
            f"{directory} holds a PEFT adapter, not a whole checkpoint",
            hint="merge it first: model.merge_and_unload().save_pretrained(DIRECTORY), and name that directory",
        )

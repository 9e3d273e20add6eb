"""Which file of a directory holds the weights."""

from dataclasses import dataclass
from pathlib import Path

from forgetaudit.checkpoints.sentence_modules import MODULES, read_modules
from forgetaudit.errors import UnreadableCheckpoint, listing
from forgetaudit.gaps import Notes

__all__ = ["Chosen", "weights_in"]

# In transformers' order. Where both formats are there, safetensors is the newer and the safer one.
_WELL_KNOWN = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
# Saved beside the weights by a Trainer; not weights.
_NOT_WEIGHTS = ("optimizer", "scheduler", "scaler", "training_args", "rng_state", "random_states")
# Of sentence-transformers; the encoder's are those that are read.
_WITHOUT_WEIGHTS = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The file to open, and what a user should know of the choice."""

    path: Path
    notes: Notes


def weights_in(directory: Path) -> Chosen:
    """The file with the weights: a well-known name, else the only index, else the only weight file.

    A sentence-transformers folder may keep them one folder further down: where its modules.json says.
    """
    try:
        names = sorted(entry.name for entry in directory.iterdir())
    except PermissionError:
        raise UnreadableCheckpoint(
            f"{directory} may not be read by this user", hint="ask its owner, or change its permissions"
        ) from None
    known = [name for name in _WELL_KNOWN if name in names]
    if known:
        notes = (*_taken(known[0], known[1:]), *_other_modules(directory))
        return Chosen(path=directory / known[0], notes=notes)
    if (inner := _encoder_folder(directory)) is not None:
        chosen = weights_in(inner)
        told = f"the weights are in {inner.name}, by {MODULES}"
        return Chosen(path=chosen.path, notes=(told, *chosen.notes, *_other_modules(directory)))
    _refuse_other_layouts(directory, names)
    indexes = [name for name in names if name.endswith(".index.json")]
    weights = [name for name in names if name.endswith(_SUFFIXES) and not name.startswith(_NOT_WEIGHTS)]
    for found in (indexes, weights):
        if len(found) == 1:
            return Chosen(path=directory / found[0], notes=(f"the weights are in {found[0]}, by its ending",))
        if found:
            raise UnreadableCheckpoint(
                f"{directory} holds {len(found)} weight files, and nothing says which is meant",
                details=[listing("found", found, shown=6)],
                hint=f"name one of them, such as {directory / found[0]}",
            )
    raise UnreadableCheckpoint(
        f"{directory} is a directory without weights",
        details=[listing("it holds", names, shown=6)] if names else ["it is empty"],
        hint="name the directory that holds model.safetensors, or the file itself",
    )


def _encoder_folder(directory: Path) -> Path | None:
    found = [module.folder for module in read_modules(directory) if module.kind == "Transformer"]
    return found[0] if found and found[0] != directory and found[0].is_dir() else None


def _other_modules(directory: Path) -> tuple[str, ...]:
    """Modules with weights of their own, behind the encoder: what is read is not the whole model."""
    others = [module for module in read_modules(directory) if module.kind not in _WITHOUT_WEIGHTS]
    return tuple(f"the weights of {module.kind} in {module.folder.name} were not read" for module in others)


def _taken(name: str, others: list[str]) -> tuple[str, ...]:
    return (f"{name} was read, and not {', '.join(others)} beside it",) if others else ()


def _refuse_other_layouts(directory: Path, names: list[str]) -> None:
    if "adapter_config.json" in names or "adapter_model.safetensors" in names:
        raise UnreadableCheckpoint(
            f"{directory} holds a PEFT adapter, not a whole checkpoint",
            hint="merge it first: model.merge_and_unload().save_pretrained(DIRECTORY), and name that directory",
        )

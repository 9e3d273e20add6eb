"""Which files tell of the run: those named with --log, or those that lie beside the weights."""

from pathlib import Path

from forgetaudit.budget.clues import Clues
from forgetaudit.budget.log_file import read_log
from forgetaudit.budget.optimizer_file import read_optimizer
from forgetaudit.errors import AuditError, UnreadableCheckpoint

__all__ = ["clues_beside", "clues_of"]

_OPTIMIZER = ("optimizer.pt", "optimizer.bin")
_LOGS = ("trainer_state.json", "training_log.json")
_WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
_NOT_OPENED = "training_args.bin is a pickle, and was not opened"


def clues_of(log: Path) -> tuple[Clues, ...]:
    """What `log` tells: a file, or a folder with optimizer.pt, trainer_state.json or training_log.json. AuditError."""
    if not log.is_dir():
        return (read_optimizer(log),) if log.suffix in _WEIGHTS else (read_log(log),)
    if found := _logs_in(log):
        return found
    raise UnreadableCheckpoint(
        f"{log} holds no training log: neither {' nor '.join((*_OPTIMIZER[:1], *_LOGS))}",
        hint="name the log itself: --log FILE, or pass --optimizer, --lr, --train-steps and --schedule",
    )


def clues_beside(tuned: Path) -> tuple[Clues, ...]:
    """What lies in the folder of the weights, if it is theirs alone; a file that cannot be read becomes a note."""
    folder = tuned if tuned.is_dir() else tuned.parent
    try:
        if folder != tuned and not _is_alone(tuned):
            return ()
        return _logs_in(folder)
    except AuditError as error:
        return (Clues(notes=(f"the log beside {tuned.name} is of no use: {error.fact}",)),)
    except OSError:
        return ()


def _is_alone(file: Path) -> bool:
    """Whether no other weights lie beside the file: a log there could be that of others."""
    others = {*_OPTIMIZER, "training_args.bin", "scheduler.pt", "scaler.pt", file.name}
    return not any(
        one.suffix in _WEIGHTS and one.name not in others and not one.name.startswith("rng_state")
        for one in file.parent.iterdir()
    )


def _logs_in(folder: Path) -> tuple[Clues, ...]:
    optimizers = [folder / name for name in _OPTIMIZER if (folder / name).is_file()][:1]
    logs = [folder / name for name in _LOGS if (folder / name).is_file()]
    found = (*(read_optimizer(path) for path in optimizers), *(read_log(path) for path in logs))
    if found and (folder / "training_args.bin").exists():
        return (*found, Clues(notes=(_NOT_OPENED,)))
    return found

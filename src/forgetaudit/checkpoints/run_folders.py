"""What a folder without weights of its own is: a run, several adapters, a DeepSpeed checkpoint; and what to name."""

import re
from collections.abc import Sequence
from pathlib import Path

from forgetaudit.errors import UnreadableCheckpoint

__all__ = ["deepspeed_hint", "hint_for_folder", "refuse_rank_file"]

_ZERO_SCRIPT = "zero_to_fp32.py"
# `zero_pp_rank_0_mp_rank_00_model_states.pt`, `bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt`
_RANK_FILE = re.compile(r"(bf16_|fp16_)?zero_pp_rank_\d+_mp_rank_\d+.*\.pt$")
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.pt", "*.pth", "*.ckpt")
_INDEX_OF_DISTRIBUTED = ".metadata"
_MOST_SHOWN = 3


def hint_for_folder(folder: Path) -> str | None:
    """What to name instead of `folder`, or which command to run; None where nothing better is to be seen in it."""
    try:
        return deepspeed_hint(folder) or _hint_inside(folder)
    except OSError:  # a folder in it that this user may not look into
        return None


def deepspeed_hint(folder: Path) -> str | None:
    """How the parts of a DeepSpeed checkpoint are put together; None where `folder` holds none."""
    root = _deepspeed_root(folder)
    return None if root is None else _zero_hint(root)


def _hint_inside(folder: Path) -> str | None:
    inside = sorted(one for one in folder.iterdir() if one.is_dir())
    if (snapshots := folder / "snapshots").is_dir():
        return _name_one(sorted(one for one in snapshots.iterdir() if one.is_dir()))
    steps = [one for one in inside if re.fullmatch(r"checkpoint-\d+", one.name)]
    if steps:
        last = max(steps, key=lambda one: int(one.name.rpartition("-")[2]))
        return f"name one checkpoint of the run, such as {last}; to follow all of them: forgetaudit trace BASE {folder}"
    adapters = [one for one in inside if (one / "adapter_config.json").is_file()]
    if adapters:
        return _name_one(adapters, "these are adapters: ")
    return _name_one([one for one in inside if _holds_weights(one)])


def refuse_rank_file(path: Path) -> None:
    """UnreadableCheckpoint where `path` is what one rank of a DeepSpeed run kept, by its name."""
    if _RANK_FILE.fullmatch(path.name):
        raise UnreadableCheckpoint(
            f"{path} is one rank's part of a DeepSpeed checkpoint (ZeRO), not the weights",
            hint=_zero_hint(_deepspeed_root(path.parent) or path.parent),
        )


def _deepspeed_root(folder: Path) -> Path | None:
    """The folder where DeepSpeed saves, by what it keeps there: `latest`, `global_step500`, parts by rank."""
    if any(one.is_dir() for one in folder.glob("global_step*")):
        return folder
    if any(_RANK_FILE.fullmatch(one.name) for one in folder.glob("*.pt")) or any(
        folder.glob("mp_rank_*_model_states.pt")
    ):
        named = folder.parent
        return named if (named / _ZERO_SCRIPT).exists() or (named / "latest").exists() else folder
    return None


def _zero_hint(root: Path) -> str:
    script = root / _ZERO_SCRIPT
    run = f"python {script}" if script.exists() else f"python {_ZERO_SCRIPT} (of DeepSpeed)"
    return f"put its parts together first: {run} {root} OUT, and name OUT"


def _name_one(folders: Sequence[Path], what: str = "") -> str | None:
    if not folders:
        return None
    shown = " or ".join(str(one) for one in folders[:_MOST_SHOWN])
    more = f" ({len(folders) - _MOST_SHOWN} more)" if len(folders) > _MOST_SHOWN else ""
    return f"{what}name {'one of them: ' if len(folders) > 1 else ''}{shown}{more}"


def _holds_weights(folder: Path) -> bool:
    return (folder / _INDEX_OF_DISTRIBUTED).is_file() or any(
        any(folder.glob(pattern)) for pattern in _WEIGHTS
    )

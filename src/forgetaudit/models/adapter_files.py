"""A PEFT adapter's own files: its config and its tensors, checked before any library sees them."""

import contextlib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.checkpoints.digest import digest
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import MismatchError, ModelError, UnreadableCheckpoint, listing
from forgetaudit.gaps import Gap
from forgetaudit.models.extras import import_extra
from forgetaudit.models.sidecars import folder_of, read_sidecar
from forgetaudit.paths import as_path

__all__ = [
    "adapter_config",
    "adapter_settings_text",
    "base_name_note",
    "find_base",
    "open_adapter_weights",
    "pattern_key",
    "refused_parameters",
]  # fmt: skip

CONFIG = "adapter_config.json"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
# These put vectors before the input instead of changing weights.
_PROMPTS = {
    "PROMPT_TUNING",
    "MULTITASK_PROMPT_TUNING",
    "P_TUNING",
    "PREFIX_TUNING",
    "ADAPTION_PROMPT",
    "CARTRIDGE",
}
# These begin by changing base itself, so the adapter does not belong to the base that is on disk.
_CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "eva_residual", "lora_ga")
# What such an adapter does depends on the input, or it makes another network.
_NO_WEIGHTS = {
    "alora_invocation_tokens": "acts only after certain tokens",
    "layer_replication": "repeats layers of base",
}
# Naming modules to import, or how training began: neither belongs to what the weights are.
_DROPPED = ("megatron_config", "megatron_core", "auto_mapping", "loftq_config", "corda_config", "eva_config")


def adapter_config(path: Path) -> dict[str, Any]:
    """The adapter's config, without what would import code. ModelError for kinds that cannot become weights."""
    folder = folder_of(path)
    found = read_sidecar(folder, CONFIG)
    if found is None:
        raise UnreadableCheckpoint(f"{folder} has no {CONFIG}", hint="name the folder that PEFT saved")
    kind = found.get("peft_type")
    if not isinstance(kind, str):
        raise UnreadableCheckpoint(
            f"{folder / CONFIG} names no peft_type", hint="save the adapter again with save_pretrained"
        )
    if kind in _PROMPTS:
        raise ModelError(
            f"{folder} is an adapter of the kind {kind}, which changes no weights but adds inputs; it is not run",
            hint="LoRA, DoRA, IA³ and other adapters that can be merged are audited",
        )
    start = found.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(_CHANGES_BASE):
        raise ModelError(
            f"{folder} was started with {start}, which changes base's own weights; on this base it is another model",
            hint="merge it where it was trained: model.merge_and_unload().save_pretrained(DIRECTORY)",
        )
    for key, effect in _NO_WEIGHTS.items():
        if found.get(key):
            raise ModelError(
                f"{folder} is an adapter with {key}, which {effect}; it cannot be seen as a change of weights",
                hint="LoRA, DoRA, IA³ and other adapters that can be merged are audited",
            )
    if parameters := found.get("target_parameters"):
        raise refused_parameters(folder, parameters)
    kept = {key: value for key, value in found.items() if key not in _DROPPED}
    # Whatever training began with is replaced by the adapter's tensors.
    return kept | ({"init_lora_weights": True} if "init_lora_weights" in kept else {})


def refused_parameters(folder: Path, parameters: object) -> ModelError:
    """For an adapter on bare parameters, as the stacked experts of a mixture are: files often hold them in pieces."""
    named = [str(one) for one in parameters] if isinstance(parameters, list) else [str(parameters)]
    return ModelError(
        f"{folder} is an adapter on bare parameters, as fused experts are (target_parameters), which is not run",
        details=[listing("target_parameters", named, shown=3)],
        hint="merge it first: model.merge_and_unload().save_pretrained(DIRECTORY), and pass DIRECTORY",
    )


def pattern_key(patterns: Sequence[str], module: str) -> str:
    """Which of `patterns` (of `alpha_pattern`) PEFT takes for `module`; the module's own name where none fits."""
    # PEFT wakes torch, and imports the library's models, which a broken torchvision takes along.
    with contextlib.suppress(Exception):
        from forgetaudit.models.torchvision_repair import import_torchvision

        import_torchvision()
    import_extra("peft", needed_for="an adapter with alpha_pattern")
    other: Any = importlib.import_module("peft.utils.other")
    return str(other.get_pattern_key(list(patterns), module))


def open_adapter_weights(path: Path) -> Checkpoint:
    """The adapter's own tensors, through our reader; what else the folder holds is a gap."""
    folder = folder_of(path)
    found = [name for name in _WEIGHTS if (folder / name).exists()]
    if found:
        return open_checkpoint(folder / found[0], notes=_other_adapter_files(folder, found))
    raise UnreadableCheckpoint(
        f"{folder} holds a PEFT adapter without weights",
        details=[f"neither {' nor '.join(_WEIGHTS)} is there"],
        hint="copy or download the folder again",
    )


def _other_adapter_files(folder: Path, found: Sequence[str]) -> tuple[Gap, ...]:
    """Another file of the same adapter, and further adapters in folders of their own, as PEFT saves them."""
    adapters = sorted(one.parent.name for one in folder.glob(f"*/{CONFIG}"))
    others = [*found[1:], *(f"the adapter {name}" for name in adapters)]
    if not others:
        return ()
    more = f", … {len(others) - 3} more" if len(others) > 3 else ""
    return (
        Gap(
            ident="other-weights-beside",
            what=f"{found[0]} was read, and not {', '.join(others[:3])}{more} beside it",
            advice="name the folder or the file of the one that is meant; merge several first if they act together",
            holds="nothing",
            evidence={"read": found[0], "not_read": others},
        ),
    )


def find_base(path: Path) -> Path:
    """The base that the adapter's config names, on this machine. ModelError where it is not here."""
    folder = folder_of(path)
    named = adapter_config(path).get("base_model_name_or_path")
    found = _local(named, folder)
    if found is None:
        raise ModelError(
            f"{folder} is an adapter of {named or 'a base that it does not name'}, which is not on this machine",
            hint="download that base first, or pass a whole checkpoint as BASE",
        )
    return found


def base_name_note(path: Path, base: Checkpoint) -> str:
    """A sentence on the base that the adapter names. MismatchError where it is here, and is not BASE."""
    folder = folder_of(path)
    named = adapter_config(path).get("base_model_name_or_path")
    if not named:
        return "its config names no base: BASE was taken"
    found = _local(named, folder)
    if found is None:
        return f"its config names {named} as its base, which is not here to be compared: BASE was taken"
    if found.resolve() == folder_of(base.path).resolve():
        return "BASE is the base that its config names"
    with open_checkpoint(found) as other:
        theirs, ours = digest(other, whole=False), digest(base, whole=False)
    if isinstance(theirs, str) and isinstance(ours, str) and theirs != ours:
        raise MismatchError(
            f"the adapter {folder} was trained on another base: {named}",
            details=[f"its weights are not those of {base.path}"],
            hint=f"pass {found} as BASE",
        )
    return f"its config names {named} as its base" + (", of the same bytes as BASE" if theirs == ours else "")


def _local(named: object, folder: Path) -> Path | None:
    """A folder of that name, or what the Hub's cache holds for it; the network is never asked."""
    if not isinstance(named, str) or not named:
        return None
    for candidate in (as_path(named), as_path(named, folder)):
        if candidate.is_dir():
            return candidate
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(named, local_files_only=True))
    except Exception:  # not a name of the Hub, or not in its cache: both mean that it is not here
        return None


def adapter_settings_text(config: Mapping[str, Any]) -> str:
    """`LORA, rank 8, alpha 16, with DoRA`: what kind of adapter it is."""
    told = [str(config["peft_type"])]
    told += [f"rank {config['r']}"] if "r" in config else []
    told += [f"alpha {config['lora_alpha']}"] if "lora_alpha" in config else []
    told += ["with DoRA"] if config.get("use_dora") else []
    told += ["rank-stabilised"] if config.get("use_rslora") else []
    return ", ".join(told)

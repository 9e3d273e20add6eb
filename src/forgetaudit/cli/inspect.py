"""inspect CKPT: what a checkpoint is, how its network would be built, and on what evidence."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from forgetaudit import planning
from forgetaudit.audits.files import refuse_idle_choice
from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.cli import console
from forgetaudit.errors import AuditError, ModelError
from forgetaudit.models.adapter_files import adapter_config, adapter_settings_text, open_adapter_weights
from forgetaudit.models.evidence import Evidence, find_evidence, is_adapter
from forgetaudit.models.extras import first_missing, recipe
from forgetaudit.models.quantised import quantisation_of
from forgetaudit.paths import looked_up
from forgetaudit.renderers.numbers import size

__all__ = ["inspect"]

Path_ = Annotated[Path, typer.Argument(metavar="CKPT", help="A checkpoint.", show_default=False)]
Weights = Annotated[
    Literal["ema", "raw"] | None,
    typer.Option(
        "--weights", help="Which weights of a training checkpoint that holds both: averaged (EMA) or raw."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON, every tensor included.")]
AllTensors = Annotated[bool, typer.Option("--verbose", "-v", help="Also list every tensor.")]


def inspect(
    path: Path_, as_json: AsJson = False, verbose: AllTensors = False, weights: Weights = None
) -> None:
    """What a checkpoint is: format, tensors, types, and how its network would be built. Runs no code of it."""
    adapter = is_adapter(looked_up(path))
    opened = open_adapter_weights(path) if adapter else open_checkpoint(path, weights=weights)
    with opened as checkpoint:
        refuse_idle_choice(weights, [checkpoint])
        facts = _facts(checkpoint)
        facts["model"] = _adapter(path) if adapter else _model(path, checkpoint)
    if as_json:
        console.write_out(json.dumps(facts, indent=2) + "\n")
        return
    console.write_out(console.as_lines(_fact_lines(facts, verbose=verbose)))


def _facts(checkpoint: Checkpoint) -> dict[str, Any]:
    elements: Counter[str] = Counter()
    for info in checkpoint.tensors.values():
        elements[info.dtype] += info.n_elements
    return {
        "path": str(checkpoint.path),
        "format": checkpoint.format,
        "files": [file.name for file in checkpoint.files],
        "bytes": sum(file.stat().st_size for file in checkpoint.files),
        "n_tensors": len(checkpoint.tensors),
        "n_elements": sum(elements.values()),
        "elements_by_dtype": dict(elements.most_common()),
        "quantised": quantisation_of(checkpoint),
        "metadata": dict(checkpoint.metadata),
        "notes": [str(note) for note in checkpoint.notes],
        "tensors": [
            {"name": info.name, "dtype": info.dtype, "shape": list(info.shape)}
            for info in checkpoint.tensors.values()
        ],
    }


def _model(path: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    config = planning.load_config(None, ignore=False)
    if config.model is not None and config.path is not None:
        return {"builds": True, "name": config.model, "library": None, "evidence": config.path.name}
    try:
        evidence = find_evidence(path)
    except AuditError as problem:
        return {
            "builds": False,
            "reason": problem.fact,
            "details": list(problem.details),
            "hint": problem.hint,
        }
    told: dict[str, Any] = {
        "builds": True,
        "name": evidence.model,
        "library": evidence.library,
        "evidence": evidence.sentence,
        "classes": list(evidence.class_names) if evidence.class_names else None,
    }
    if (needs := _needs(evidence, checkpoint)) is not None:
        told |= {"builds": False, "reason": needs.fact, "details": list(needs.details), "hint": needs.hint}
    return told


def _needs(evidence: Evidence, checkpoint: Checkpoint) -> ModelError | None:
    """What stands between the evidence and a network, as far as can be told without importing the library."""
    if (method := quantisation_of(checkpoint)) is not None:
        return ModelError(f"its weights are quantised ({method}), which are not run")
    if (missing := first_missing(evidence.library)) is not None:
        return ModelError(f"{missing} is not installed", hint=recipe(missing))
    return None


def _adapter(path: Path) -> dict[str, Any]:
    config = adapter_config(path)
    return {
        "builds": True,
        "name": f"PEFT adapter ({adapter_settings_text(config)})",
        "library": "peft",
        "evidence": "adapter_config.json",
        "base": config.get("base_model_name_or_path"),
        "targets": config.get("target_modules"),
    }


def _fact_lines(facts: dict[str, Any], *, verbose: bool) -> Iterator[str]:
    yield f"{facts['path']}: {facts['format']}"
    yield f"size      {size(facts['bytes'])} in {_count(len(facts['files']), 'file')}"
    types = ", ".join(f"{n:,} {dtype}" for dtype, n in facts["elements_by_dtype"].items())
    yield f"tensors   {facts['n_tensors']:,} of {facts['n_elements']:,} elements: {types or 'none'}"
    if facts["quantised"]:
        yield f"quantised {facts['quantised']}"
    for key, value in list(facts["metadata"].items())[:8]:
        yield f"metadata  {key} = {value[:100]}"
    for note in facts["notes"]:
        yield f"note      {note}"
    yield from _model_lines(facts["model"])
    if verbose:
        width = max((len(row["name"]) for row in facts["tensors"]), default=0)
        for row in facts["tensors"]:
            yield f"  {row['name']:<{width}}  {row['dtype']}  {row['shape']}"


def _model_lines(model: dict[str, Any]) -> Iterator[str]:
    if "name" in model:
        yield f"model     {model['name']} ({model['evidence']})"
    if model.get("classes"):
        names = model["classes"]
        more = f", … {len(names) - 4} more" if len(names) > 4 else ""
        yield f"classes   {len(names)}: {', '.join(names[:4])}{more}"
    if model.get("base"):
        yield f"base      {model['base']}"
    if not model["builds"]:
        yield f"model     not built: {model['reason']}"
        yield from (f"          {line}" for line in model["details"])
        yield (
            f"try       {model['hint']}"
            if model["hint"]
            else "try       compare without --data, weights alone"
        )


def _count(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"

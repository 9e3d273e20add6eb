"""Looks for the marks of what was done to the weights, and puts them into the report's form."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import UsageError
from forgetaudit.paths import looked_up
from forgetaudit.progress import Progress
from forgetaudit.report.forensics import (
    Forensics,
    FossilFound,
    LayerRatesFound,
    LowRankChange,
    RecipeFound,
    SpectrumRow,
    StepsFound,
)
from forgetaudit.report.parts import Absent
from forgetaudit.values import NotMeasured
from forgetaudit.weights.changes import Change, Role, TensorChange, WeightChanges
from forgetaudit.weights.decay_only_rows import find_decay_only_rows, may_hold_unused_rows
from forgetaudit.weights.groups import layer_of
from forgetaudit.weights.layer_names import HEAD, STEM, layer_names, natural
from forgetaudit.weights.low_rank import LowRank
from forgetaudit.weights.rank import ChangeRank, rank_of_change
from forgetaudit.weights.reading import is_as_trained, matrix_shape, read_rows
from forgetaudit.weights.recipes import find_layer_rates, find_recipe
from forgetaudit.weights.spectrum import spectrum_of
from forgetaudit.weights.step_origins import equal_tensors, find_origins

__all__ = ["examine", "open_steps"]

# So many matrices are looked at before the others are believed to be no different.
_FIRST = 4
_MIN_SIDE = 16
# Beyond it a matrix, in float64 and decomposed, takes more than a gigabyte or two.
_MOST_SPECTRAL = 1 << 25
_SHOWN = 16


def examine(
    changes: WeightChanges,
    base: Checkpoint,
    tuned: Checkpoint,
    progress: Progress,
    *,
    factors: Mapping[str, LowRank] | None = None,
    steps: Sequence[Path] = (),
    spectrum: bool = False,
) -> Forensics:
    """Every detector on one pair. `factors` are an adapter's own, `steps` checkpoints of the run.

    A few rows of a few matrices are read again, all of it where `spectrum` is asked for. AuditError where a step
    cannot be read.
    """
    recipe, rates = find_recipe(changes), find_layer_rates(changes)
    matrices = [row for row in changes.tensors if _is_changed_matrix(row)]
    low_rank, n_matrices = _from_factors(factors) if factors else _low_rank(matrices, base, tuned)
    return Forensics(
        recipe=None if recipe is None else RecipeFound(**asdict(recipe)),
        low_rank=low_rank,
        n_matrices=n_matrices,
        layer_rates=_absent(rates) if isinstance(rates, NotMeasured) else LayerRatesFound(**asdict(rates)),
        fossil=_fossil(changes, base, tuned) if factors is None else _absent("an adapter decays nothing"),
        steps=_origins(tuned, steps) if steps else _absent("no steps were passed (--steps)"),
        spectra=_spectra(matrices, base, tuned, factors or {}, progress)
        if spectrum
        else _absent("not asked for (--spectrum)"),
    )


def open_steps(patterns: Sequence[str]) -> tuple[Path, ...]:
    """The paths that shell patterns stand for, in the order of their numbers. UsageError where one matches nothing."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        here = looked_up(Path(pattern), "--steps")
        root = Path(here.anchor) if here.is_absolute() else Path()
        relative = str(here.relative_to(root)) if here.is_absolute() else pattern
        matched = (
            [here] if here.exists() else sorted(root.glob(relative), key=lambda path: natural(str(path)))
        )
        if not matched:
            raise UsageError(
                f"--steps {pattern} matches nothing", hint="pass 'run/checkpoint-*', in quotes, or one by one"
            )
        found |= dict.fromkeys(matched)
    return tuple(found)


def _absent(reason: NotMeasured | str) -> Absent:
    return Absent(not_measured=reason.reason if isinstance(reason, NotMeasured) else reason)


def _is_changed_matrix(row: TensorChange) -> bool:
    if row.role is not Role.PARAMETER or row.change is not Change.CHANGED or row.base is None:
        return False
    if not all(info is None or is_as_trained(info) for info in (row.base, row.tuned)):
        return False
    return len(row.base.shape) >= 2 and min(matrix_shape(row.base)) >= _MIN_SIDE


def _from_factors(factors: Mapping[str, LowRank]) -> tuple[tuple[LowRankChange, ...], int]:
    rows = [
        LowRankChange(
            tensor=name,
            rank=low_rank.rank,
            at_least=False,
            singular_values=tuple(float(value) for value in low_rank.singular_values[:_SHOWN]),
            edge=None,
        )
        for name, low_rank in factors.items()
    ]
    return tuple(rows), len(rows)


def _low_rank(
    matrices: Sequence[TensorChange], base: Checkpoint, tuned: Checkpoint
) -> tuple[tuple[LowRankChange, ...], int]:
    """Of a few matrices first; of all where those few are of low rank."""
    places = sorted({int(place) for place in np.linspace(0, len(matrices) - 1, min(_FIRST, len(matrices)))})
    looked = {place: _rank(matrices[place], base, tuned) for place in places}
    if sum(_is_low(found) for found in looked.values()) * 2 > len(looked):
        looked = {
            place: looked[place] if place in looked else _rank(row, base, tuned)
            for place, row in enumerate(matrices)
        }
    low = [
        LowRankChange(
            tensor=matrices[place].name,
            rank=found.rank,
            at_least=found.at_least,
            singular_values=found.singular_values,
            edge=found.edge,
        )
        for place, found in looked.items()
        if found is not None and found.is_low
    ]
    return tuple(low), len(looked)


def _rank(row: TensorChange, base: Checkpoint, tuned: Checkpoint) -> ChangeRank | None:
    if row.base is None or row.tuned is None:
        return None
    return rank_of_change(base, tuned, row.base.name, row.tuned.name)


def _is_low(found: ChangeRank | None) -> bool:
    return found is not None and found.is_low


def _fossil(changes: WeightChanges, base: Checkpoint, tuned: Checkpoint) -> FossilFound | Absent:
    """Of embeddings and heads, whose rows stand for tokens and classes: in the one that shows it in most rows."""
    found: list[FossilFound] = []
    reasons: list[str] = []
    stages = layer_names(row.name for row in changes.tensors).stages
    outer = [row for row in changes.tensors if stages.get(layer_of(row.name, stages)) in (STEM, HEAD)]
    for row in outer:
        if may_hold_unused_rows(row) and row.base is not None and row.tuned is not None:
            fossil = find_decay_only_rows(base, tuned, row.base.name, row.tuned.name)
            if isinstance(fossil, NotMeasured):
                reasons.append(fossil.reason)
            else:
                found.append(FossilFound(**asdict(fossil), rate_times_decay=fossil.rate_times_decay))
    if not found:
        return _absent(reasons[0] if reasons else "no tensor has rows that could have been left unused")
    return max(found, key=lambda fossil: fossil.n_rows)


def _origins(tuned: Checkpoint, steps: Sequence[Path]) -> StepsFound:
    equal = {}
    for path in steps:
        with open_checkpoint(path) as step:
            equal[path.name if path.is_dir() else path.stem] = equal_tensors(tuned, step)
    origins = find_origins(tuned.tensors, equal)
    return StepsFound(
        n_equal=dict(origins.n_equal),
        n_telling=origins.n_telling,
        n_unexplained=origins.n_unexplained,
        is_step=origins.is_step,
        mixed=origins.mixed,
    )


def _spectra(
    matrices: Sequence[TensorChange],
    base: Checkpoint,
    tuned: Checkpoint,
    factors: Mapping[str, LowRank],
    progress: Progress,
) -> tuple[SpectrumRow, ...]:
    rows: list[SpectrumRow] = []
    with progress.phase("spectra", len(matrices), "matrices") as advance:
        for row in matrices:
            if row.base is not None and row.tuned is not None and row.base.n_elements <= _MOST_SPECTRAL:
                n_rows = matrix_shape(row.base)[0]
                before = read_rows(base, row.base.name, 0, n_rows)
                delta = (
                    factors[row.name].rows(0, n_rows)
                    if row.name in factors
                    else read_rows(tuned, row.tuned.name, 0, n_rows) - before
                )
                if np.isfinite(before).all() and np.isfinite(delta).all() and before.any() and delta.any():
                    rows.append(SpectrumRow(**asdict(spectrum_of(row.name, before, delta))))
            else:
                progress.note(f"{row.name} is too large for --spectrum")
            advance(1)
    return tuple(rows)

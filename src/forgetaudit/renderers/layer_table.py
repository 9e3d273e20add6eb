"""The table of layers on the first screen: feature drift beside weight distance."""

from collections.abc import Iterator, Mapping, Sequence

from forgetaudit.renderers import numbers
from forgetaudit.renderers.lines import LABEL, Line
from forgetaudit.renderers.phrases import left_words
from forgetaudit.report.behaviour import FeatureSection, LayerDrift
from forgetaudit.report.parts import Absent
from forgetaudit.report.weights import LayerWeights, WeightSection
from forgetaudit.wording import counted

__all__ = ["distance_words", "layer_table", "most_telling"]

_MOST_LAYERS = 14
# With it the columns fit a terminal of 80; a longer name moves those of its own line alone.
_WIDEST_NAME = 38


def layer_table(weights: WeightSection, features: FeatureSection | None) -> Iterator[Line]:
    """A heading, a line a layer with CKA and distance on fixed scales, and the total."""
    drift = {layer.layer: layer for layer in features.layers} if features else {}
    layers = weights.layers
    shown, hidden = most_telling(layers, drift, _MOST_LAYERS)
    wide = min(max([LABEL, *(len(layer.layer) + 2 for layer in shown)]), _WIDEST_NAME)
    yield [
        (f"{'layers':<{wide}}", "label"),
        (f"{'CKA':<22}" if drift else "", "dim"),
        ("distance ‖Δ‖/‖θ₀‖", "dim"),
    ]
    for layer in shown:
        yield _layer_line(layer, drift.get(layer.layer), wide, with_cka=bool(drift))
    if hidden:
        yield [(f"{'…':<{wide}}", "dim"), (f"{hidden} more layers, between these", "dim")]
    yield _total_line(weights, wide, with_cka=bool(drift))
    yield []


def most_telling(
    layers: Sequence[LayerWeights], drift: Mapping[str, LayerDrift], most: int
) -> tuple[list[LayerWeights], int]:
    """All of up to `most` layers; else the ends and those that drifted most, in order, and how many are left out."""
    if len(layers) <= most:
        return list(layers), 0

    def told(layer: LayerWeights) -> float:
        cka = drift[layer.layer].cka if layer.layer in drift else None
        drifted = 1 - cka.estimate if cka is not None and not isinstance(cka, Absent) else 0.0
        moved = layer.parameters.relative
        return drifted + (0.0 if isinstance(moved, Absent) else min(moved, 1.0) / 10)

    ends = {layers[0].layer, layers[-1].layer, *(layer.layer for layer in layers if layer.stage == "head")}
    furthest = sorted(layers, key=told, reverse=True)[: max(most - len(ends), 0)]
    kept = ends | {layer.layer for layer in furthest}
    return [layer for layer in layers if layer.layer in kept], len(layers) - len(kept)


def _layer_line(layer: LayerWeights, drift: LayerDrift | None, wide: int, *, with_cka: bool) -> Line:
    line: Line = [(f"{layer.layer + '  ':<{wide}}", "")]
    if with_cka:
        line += _cka_cell(drift)
    number, said, style = distance_words(layer)
    if said:
        return [*line, (f"{number:<8}{said}", style)]
    relative = layer.parameters.relative
    bar = "" if isinstance(relative, Absent) else numbers.bar(relative, 10)
    return [*line, (f"{number:<8}", ""), (bar, "bar")]


def distance_words(layer: LayerWeights) -> tuple[str, str, str]:
    """The relative distance as a number, what else there is to say of it, and the style of that."""
    relative = layer.parameters.relative
    if layer.is_still and layer.n_cast:
        number = "·" if isinstance(relative, Absent) else numbers.unit(relative)
        return number, f"equal up to a cast: {counted(layer.n_tensors, 'tensor')}", "good"
    if layer.is_still:
        return "0", f"frozen: {counted(layer.n_tensors, 'tensor')} bit-identical", "good"
    if layer.parameters_still:
        return "0", f"but {counted(layer.buffers_moved, 'buffer')} moved", "bad"
    if isinstance(relative, Absent):
        return "·", relative.not_measured, "dim"
    if left := left_words(layer.parameters).removeprefix(", "):
        return numbers.unit(relative), left, "warn"
    return numbers.unit(relative), "", ""


def _cka_cell(drift: LayerDrift | None) -> Line:
    if drift is None:
        return [(f"{'·':<22}", "dim")]
    if isinstance(drift.cka, Absent):
        return [(f"{'not measured':<22}", "warn")]
    value = drift.cka.estimate
    proof = drift.cka.kind == "exact"
    number = numbers.unit(value)
    return [(f"{number:<8}", "good" if proof else ""), (f"{numbers.bar(min(value, 1.0), 12):<14}", "bar")]


def _total_line(weights: WeightSection, wide: int, *, with_cka: bool) -> Line:
    total = weights.total
    relative = total.relative
    text = (
        f"·       {relative.not_measured};"
        if isinstance(relative, Absent)
        else f"{numbers.unit(relative):<7}"
    )
    n = f"{total.n_tensors - total.n_identical} of {counted(total.n_tensors, 'parameter')} changed{left_words(total)}"
    return [(f"{'total':<{wide}}", "dim"), (" " * 22 if with_cka else "", ""), (f"{text} {n}", "dim")]

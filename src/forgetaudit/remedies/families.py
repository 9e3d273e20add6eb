"""The families of remedies that are strengths by slot: mixtures, stages, depth ramps, rollbacks, buffers, the head."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from forgetaudit.models.layers import Stage
from forgetaudit.remedies.depth import Depths
from forgetaudit.remedies.remedy import Remedy

__all__ = [
    "ALPHAS",
    "RAMPS",
    "STAGE_ALPHAS",
    "buffers",
    "head",
    "mixtures",
    "ramps",
    "rollback",
    "staged",
    "tied_together",
]

ALPHAS = tuple(step / 10 for step in range(11))
"""Base is 0 and tuned is 1, both known before any of them is tried."""

RAMPS = ((0.0, 1.0), (0.25, 0.75), (0.5, 0.5), (0.75, 0.25), (1.0, -1.0), (1.0, -0.5))
"""(α, β): deep blocks keep more of what was learned where β > 0, as in LiNeS, shallow ones where it is under 0."""

STAGE_ALPHAS = (0.75, 0.5, 0.25, 0.0)


def mixtures(slots: Collection[str], *, family: str = "mixture") -> tuple[Remedy, ...]:
    """θ_α = (1 − α)θ0 + αθ1 for α from 0.1 to 0.9 (WiSE-FT, arXiv 2109.01903). Of an adapter α is its strength."""
    return tuple(
        Remedy(name=f"{family} {alpha:g}", family=family, strengths=dict.fromkeys(slots, alpha))
        for alpha in ALPHAS[1:-1]
    )


def staged(alphas: Mapping[Stage, float], depths: Depths) -> Remedy:
    """α of its own for each stage: of what stem, blocks or head learned. Stages that are not named keep all."""
    told = ", ".join(f"{stage} {alphas[stage]:g}" for stage in depths.stages() if stage in alphas)
    return Remedy(
        name=f"stages {told}",
        family="stages",
        strengths={slot: alphas.get(stage, 1.0) for slot, stage in depths.stage.items()},
    )


def ramps(depths: Depths) -> tuple[Remedy, ...]:
    """λ(l) = α + β(l − 1)/(L − 1) on what block l learned, of L (LiNeS, arXiv 2410.17146); none for a single block.

    What lies before the blocks gets λ(1), as in LiNeS; the head, which its authors leave as base's, gets λ(L).
    """
    if depths.n_blocks < 2:
        return ()
    return tuple(
        Remedy(
            name=f"ramp {alpha:g} to {alpha + beta:g}",
            family="ramp",
            strengths={
                slot: alpha + beta * (depth - 1) / (depths.n_blocks - 1)
                for slot, depth in depths.depth.items()
            },
        )
        for alpha, beta in RAMPS
    )


def rollback(parts: Sequence[str], depths: Depths) -> Remedy:
    """Every tensor of `parts` is base's again."""
    slots = [slot for part in parts for slot in depths.slots_of(part)]
    return Remedy(
        name=f"rollback {' + '.join(parts)}", family="rollback", strengths=dict.fromkeys(slots, 0.0)
    )


def buffers(depths: Depths) -> Remedy:
    """The statistics of normalisations are base's again, and every trained weight is tuned's."""
    return Remedy(name="base's buffers", family="buffers", strengths=dict.fromkeys(depths.buffers, 0.0))


def head(depths: Depths) -> Remedy:
    """Base's head on tuned's features."""
    return Remedy(name="base's head", family="head", strengths=dict.fromkeys(depths.head, 0.0))


def tied_together(remedy: Remedy, ties: Mapping[str, frozenset[str]], order: Sequence[str]) -> Remedy:
    """The same remedy where tensors that are shared have one strength: that of the first of their slots."""
    place = {slot: number for number, slot in enumerate(order)}
    strengths = {slot: remedy.strength(min(ties[slot], key=lambda name: place[name])) for slot in order}
    return replace(remedy, strengths=strengths)

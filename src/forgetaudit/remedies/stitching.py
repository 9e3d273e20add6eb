"""A head stitched to other features: fitted in closed form to say of them what was known, without a label.

Where the features of tuned still hold what base knew, and only the way to the answers is lost, a linear map wins it
back (model stitching: Lenc and Vedaldi 2015, arXiv 1411.5908; Bansal et al. 2021, arXiv 2106.07682). The map of tuned's
features onto base's, behind base's head, and a head fitted to base's scores are the same least squares. With target
data the head has to say there what tuned said, and the two are weighed against each other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from forgetaudit.engine.variants import Variant
from forgetaudit.remedies.edits import Edit, Replaced
from forgetaudit.remedies.remedy import Remedy
from forgetaudit.stats.ridge import RidgeFit, RidgeMeans, fit_ridge

__all__ = ["SHARES", "stitched"]

SHARES = (0.75, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05, 0.02)
"""Of the source data in what the head is fitted to; the rest is the target's."""


def stitched(
    mixture: Remedy, variant: Variant, path: str, lacking: Mapping[str, RidgeMeans]
) -> Iterator[Remedy]:
    """`mixture`, which makes `variant`, with the head at `path` fitted anew; none where nothing can be fitted.

    `lacking` has by data set, the source's first, what goes into the head and what its scores lack. Without a target
    there is one such head, with one a head for each of SHARES.
    """
    source, *target = lacking
    tuned = mixture.name == "tuned"
    for share in SHARES if target else (1.0,):
        parts = [(share, lacking[source]), *((1 - share, lacking[name]) for name in target)]
        fit = fit_ridge(parts, with_bias=f"{path}.bias" in variant.tensors)
        if fit is None:
            return
        name = f"stitch {share:g}" if target else "stitch"
        yield replace(
            mixture,
            name=name if tuned else f"{mixture.name}, {name}",
            family="stitch",
            edits=_head(fit, variant, path),
            said=_sentence(fit, path, source, target, share),
        )


def _head(fit: RidgeFit, variant: Variant, path: str) -> dict[str, Edit]:
    """The head of `variant` and, added to it, what it lacks."""
    more = {f"{path}.weight": fit.weight, f"{path}.bias": fit.bias}
    return {
        slot: Replaced(variant.tensors[slot].detach().cpu().double() + added)
        for slot, added in more.items()
        if slot in variant.tensors
    }


def _sentence(fit: RidgeFit, path: str, source: str, target: list[str], share: float) -> str:
    what = f"{path} was fitted by ridge regression (penalty {fit.penalty:g}, by folds) to base's scores on {source}"
    if not target:
        return f"{what}; no label was used"
    return (
        f"{what} and tuned's on {target[0]}, weighed {share:g} to {1 - share:g}, on the searched halves; "
        "no label was used"
    )

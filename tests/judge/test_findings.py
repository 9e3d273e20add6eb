"""Every finding appears where it should, is silent where it should be, and is documented."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.report import builders

from forgetaudit.judge.findings import IDENTS, FindingContext, find
from forgetaudit.judge.gate import judge
from forgetaudit.policy import Policy
from forgetaudit.report.behaviour import ClassResult, Unusable
from forgetaudit.report.inputs import VariantName
from forgetaudit.report.parts import Absent, Estimate


def found(**parts: Any) -> dict[str, Any]:
    standard: dict[str, Any] = {
        "variant": VariantName(name="tuned"),
        "weights": builders.weights(builders.layer("block1"), rows=(builders.row("block1.weight"),)),
        "source": (),
        "features": (),
        "verdict": judge(Policy(), source=(), features=(), weights=()),
    }
    if "features" not in parts:
        parts["features"] = tuple(builders.features() for _ in parts.get("source", ()))
    return {finding.id: finding for finding in find(FindingContext(**(standard | parts)))}


def interval(low: float, high: float) -> Any:
    section = builders.source(0, 0, 500)
    drop = Estimate(
        kind="statistical",
        estimate=(low + high) / 2,
        low=low,
        high=high,
        confidence=0.95,
        sides=2,
        method="tango",
    )
    return section.model_copy(update={"accuracy": section.accuracy.model_copy(update={"drop": drop})})


EXACT = builders.features(builders.drift("block1", 1), builders.drift("block2", 1))
NEAR = builders.features(builders.drift("block1", 1), builders.drift("block2", 0.97))
HEAD_ONLY = builders.weights(builders.layer("block1", identical=2), builders.layer("head", stage="head"))
PART = builders.features(builders.drift("block1", 0.97), builders.drift("block2", Absent(not_measured="NaN")))
FAR = builders.features(builders.drift("block1", 0.9), builders.drift("block2", 0.6))


def test_an_ordinary_fine_tune_without_data_gives_no_finding() -> None:
    assert found() == {}


@pytest.mark.parametrize(
    ("ident", "parts"),
    [
        ("identical", {"weights": builders.weights(identical=True)}),
        ("only-a-cast", {"weights": builders.weights(rows=(builders.row("a", "cast", tuned_dtype="bfloat16"),))}),
        ("head-replaced", {"variant": VariantName(name="tuned", grafted=("head.weight",))}),
        ("nonfinite-weights", {"weights": builders.weights(rows=(builders.row("a", n_nonfinite=3),))}),
        (
            "zeroed-weights",
            {
                "weights": builders.weights(
                    rows=(
                        builders.row(
                            "a", relative=1.0, one_minus_cosine=Absent(not_measured="tuned is zero in every element")
                        ),
                    )
                )
            },
        ),
        ("exploded-weights", {"weights": builders.weights(rows=(builders.row("a", relative=1e20),))}),
        ("resized-vocabulary", {"weights": builders.weights(rows=(builders.row("a", "reshaped", tuned_shape=(5, 2), shared_rows=2),))}),
        ("below-resolution", {"weights": builders.weights(resolution="tuned is stored in bfloat16, …")}),
        ("not-one-lineage", {"weights": builders.weights(median_cosine=0.01, looks_unrelated=True)}),
        ("frozen-part-verified", {"weights": builders.weights(builders.layer("stem", identical=2), builders.layer("b"))}),
        (
            "frozen-buffers-moved",
            {"weights": builders.weights(builders.layer("stem", identical=2, buffers=2), batches_in_training_mode=40)},
        ),
        ("base-at-chance", {"source": (builders.source(1, 1, 500, unusable=Unusable(id="base-at-chance", reason="r")),)}),
        ("labels-do-not-fit", {"source": (builders.source(1, 1, 500, unusable=Unusable(id="labels-do-not-fit", reason="r")),)}),
        ("nonfinite-outputs", {"source": (interval(0, 0.1).model_copy(update={"nonfinite": {"base": 0, "tuned": 4}}),)}),
        ("drop-proved", {"source": (interval(0.01, 0.05),)}),
        ("drop-not-proved", {"source": (interval(-0.01, 0.05),)}),
        ("gain-proved", {"source": (interval(-0.05, -0.01),)}),
        ("loss-in-head", {"source": (interval(0.05, 0.1),), "features": (EXACT,), "weights": HEAD_ONLY}),
        ("layer-drifts-most", {"source": (interval(0.05, 0.1),), "features": (FAR,)}),
        ("drift-does-not-show", {"source": (interval(0.05, 0.1),), "features": (NEAR,)}),
    ],
)  # fmt: skip
def test_what_is_there_is_found(ident: str, parts: dict[str, Any]) -> None:
    finding = found(**parts)[ident]
    assert finding.advice or ident == "gain-proved"
    assert finding.docs.endswith(f"#{ident}")


@pytest.mark.parametrize(
    ("ident", "parts"),
    [
        ("only-a-cast", {"weights": builders.weights(rows=(builders.row("a", "cast"), builders.row("b")))}),
        ("only-a-cast", {"weights": builders.weights(identical=True, rows=(builders.row("a", "identical"),))}),
        ("exploded-weights", {"weights": builders.weights(rows=(builders.row("a", role="running statistic", relative=1e20),))}),
        ("zeroed-weights", {"weights": builders.weights(rows=(builders.row("a", relative=1.0),))}),
        (
            "frozen-part-verified",
            {
                "weights": builders.weights(builders.layer("block1"), builders.layer("block2", identical=2)),
                "source": (interval(0, 0.1),), "features": (FAR,),
            },
        ),
        ("frozen-part-verified", {"weights": builders.weights(builders.layer("stem", identical=2, cast=1))}),
        ("resized-vocabulary", {"weights": builders.weights(rows=(builders.row("a", "reshaped", tuned_shape=(5, 2)),))}),
        ("loss-in-head", {"source": (interval(0.05, 0.1),), "features": (EXACT,)}),
        ("drift-does-not-show", {"source": (interval(0.05, 0.1),), "features": (PART,)}),
        ("frozen-buffers-moved", {"weights": builders.weights(builders.layer("stem", buffers=2))}),
        ("frozen-buffers-moved", {"weights": builders.weights(builders.layer("s", identical=2, buffers=2, buffers_identical=2))}),
        ("loss-in-head", {"source": (interval(-0.01, 0.1),), "features": (EXACT,), "weights": HEAD_ONLY}),
        ("drift-does-not-show", {"source": (interval(0.05, 0.1),), "features": (EXACT,)}),
        ("drift-does-not-show", {"source": (interval(0.05, 0.1),), "features": (FAR,)}),
        ("drop-proved", {"source": (builders.source(0, 0, 9, known=True),)}),
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(ident: str, parts: dict[str, Any]) -> None:
    assert ident not in found(**parts)


def test_a_still_layer_whose_features_drifted_is_not_called_frozen() -> None:
    """Registered first and called last: the order of the module tree is not always that of the work."""
    weights = builders.weights(builders.layer("norm", identical=2), builders.layer("body"))
    assert "frozen-part-verified" in found(weights=weights)
    drifted = builders.features(builders.drift("norm", 0.7))
    assert "frozen-part-verified" not in found(
        weights=weights, source=(interval(0, 0.1),), features=(drifted,)
    )


def test_classes_that_fell_are_named_and_those_that_rose_are_not() -> None:
    def result(name: str, base: float, tuned: float, p: float) -> ClassResult:
        drop = Estimate(kind="statistical", estimate=base - tuned, method="tango")
        return ClassResult(label=0, name=name, n=80, base=base, tuned=tuned, drop=drop, adjusted_p=p)

    classes = (result("cat", 0.9, 0.5, 0.001), result("dog", 0.5, 0.9, 0.001), result("cow", 0.9, 0.8, 0.4))
    section = interval(0.01, 0.05).model_copy(update={"per_class": classes})
    assert found(source=(section,))["classes-fell"].evidence == {"classes": ["cat"]}


def test_every_finding_has_a_section_of_its_own() -> None:
    text = (Path(__file__).parents[2] / "docs" / "findings.md").read_text("utf-8")
    assert sorted(re.findall(r"^## (.+)$", text, re.MULTILINE)) == sorted(IDENTS)


def test_every_finding_that_the_code_can_give_is_listed() -> None:
    folder = Path(__file__).parents[2] / "src" / "forgetaudit" / "report"
    text = "".join(path.read_text("utf-8") for path in folder.glob("*_findings.py"))
    named = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', text))
    assert named <= set(IDENTS)


def test_base_weights_that_are_not_finite_are_found_too() -> None:
    weights = builders.weights(rows=(builders.row("a", n_nonfinite_base=1),))
    assert found(weights=weights)["nonfinite-weights"].title == "1 weight of base NaN or infinite, in a"


def test_an_asked_for_head_is_not_called_another_head() -> None:
    variant = VariantName(name="tuned", grafted=("head.weight",), graft_asked=True)
    assert "as asked" in found(variant=variant)["head-replaced"].title


def test_small_losses_are_not_rounded_to_none() -> None:
    title = found(source=(interval(0.0002, 0.01),))["drop-proved"].title
    assert title == "the loss is real: <0.1 to 1.0 points of source accuracy"

"""Reports made by hand, for what judges and tells them."""

from typing import Any

from forgetaudit.report.behaviour import (
    Accuracy,
    FeatureSection,
    FlipTable,
    LayerDrift,
    LogLoss,
    McNemarTest,
    SourceSection,
    Unusable,
)
from forgetaudit.report.inputs import Digest, FileInput, Inputs, ModelInput, VariantName
from forgetaudit.report.parts import Estimate
from forgetaudit.report.report import AuditReport
from forgetaudit.report.verdict import Verdict
from forgetaudit.report.weights import LayerWeights, TensorRow, WeightSection, WeightTotal


def source(
    forgotten: int, gained: int, n: int, *, known: bool = False, unusable: Unusable | None = None
) -> SourceSection:
    kept = n // 2
    drop = (forgotten - gained) / n
    base = (kept + forgotten) / n
    return SourceSection(
        data="val",
        variant="tuned",
        n=n,
        task="classification",
        accuracy=Accuracy(
            base=base,
            tuned=base - drop,
            drop=Estimate(
                kind="statistical",
                estimate=drop,
                low=drop - 0.01,
                high=drop + 0.01,
                confidence=0.95,
                sides=2,
                method="tango",
            ),
        ),
        flips=FlipTable(forgotten=forgotten, gained=gained, kept=kept, missed=n - kept - forgotten - gained),
        mcnemar=McNemarTest(exact=1, mid_p=1),
        nll=LogLoss(
            base=0.1, tuned=0.2, increase=Estimate(kind="statistical", estimate=0.1, method="paired-mean")
        ),
        known=known,
        unusable=unusable,
        nonfinite={"base": 0, "tuned": 0},
        per_class=(),
    )


def drift(layer: str, cka: Any, stage: str = "block") -> LayerDrift:
    measured = (
        Estimate(kind="exact" if cka == 1 else "diagnostic", estimate=cka, method="x")
        if isinstance(cka, (int, float))
        else cka
    )
    return LayerDrift(layer=layer, stage=stage, n=100, d=8, pool="mean", cka=measured)


def features(*layers: LayerDrift) -> FeatureSection:
    return FeatureSection(data="val", variant="tuned", layers=layers)


def total(n: int = 2, identical: int = 0, relative: Any = 0.1) -> WeightTotal:
    return WeightTotal(
        n_tensors=n,
        n_identical=identical,
        n_elements=10,
        distance=1.0,
        relative=relative,
        one_minus_cosine=0.01,
        max_abs=0.1,
    )


def row(name: str, change: str = "changed", **values: Any) -> TensorRow:
    standard: dict[str, Any] = {
        "tuned_name": name, "role": "parameter", "dtype": "float32", "tuned_dtype": "float32", "shape": (2, 2),
        "distance": 0.1, "relative": 0.1, "one_minus_cosine": 0.01, "max_abs": 0.1, "n_nonfinite": 0,
    }  # fmt: skip
    return TensorRow(name=name, change=change, **(standard | values))


def layer(
    name: str,
    *,
    identical: int = 0,
    buffers: int = 0,
    buffers_identical: int = 0,
    stage: str = "block",
    cast: int = 0,
) -> LayerWeights:
    return LayerWeights(
        layer=name, stage=stage, n_cast=cast, parameters=total(2, identical), running=total(buffers, buffers_identical),
        n_counters=0, n_counters_identical=0,
    )  # fmt: skip


def weights(
    *layers: LayerWeights, rows: tuple[TensorRow, ...] = (), relative: Any = 0.1, **values: Any
) -> WeightSection:
    standard: dict[str, Any] = {
        "identical": False, "total": total(4, 0, relative), "running": total(0), "batches_in_training_mode": None,
        "alignment": (), "median_cosine": 0.9, "looks_unrelated": False,
    }  # fmt: skip
    return WeightSection(variant="tuned", layers=layers, tensors=rows, **(standard | values))


def report(verdict: Verdict, **parts: Any) -> AuditReport:
    standard: dict[str, Any] = {
        "command": "compare",
        "inputs": Inputs(
            base=file("base"), tuned=(file("tuned"),), model=ModelInput(name="net.py:build", evidence="--model"),
            data=(), settings={"device": "cpu", "dtype": "float32", "seed": 0}, versions={},
        ),
        "variants": (VariantName(name="base"), VariantName(name="tuned")),
        "source": (source(30, 5, 500),),
        "features": (features(drift("block1", 0.9)),),
        "weights": (weights(layer("block1")),),
        "findings": (),
    }  # fmt: skip
    return AuditReport(verdict=verdict, **(standard | parts))


def file(name: str) -> FileInput:
    return FileInput(
        name=name,
        path=f"runs/{name}.safetensors",
        format="safetensors",
        bytes=10,
        digest=Digest(method="sha256", value="00"),
    )

"""Every number of a report, computed again: plain passes, float64, formulas as the papers write them."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import norm
from scipy.stats import t as student
from tests.reference import features as reference_features
from tests.reference import statistics as reference_statistics
from tests.reference import weights as reference_weights

LAYERS = ["stem", "block1", "block2", "block3"]


def plain(sample: Path, name: str) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Logits, pooled features of each layer, and labels, by an ordinary loop in the audit's batches."""
    import datasets

    sys.path.insert(0, str(sample))
    try:
        import digits
    finally:
        sys.path.remove(str(sample))
    model = digits.build()
    model.load_state_dict(load_file(sample / f"{name}.safetensors"))
    model.eval()
    data = datasets.load_from_disk(str(sample / "src_val"))
    images = torch.stack([torch.tensor(np.array(i), dtype=torch.float32)[None] / 255 for i in data["image"]])
    seen: dict[str, list[torch.Tensor]] = {layer: [] for layer in LAYERS}
    for layer in LAYERS:
        # Copied at once: an in-place activation behind the layer would change what was kept.
        model.get_submodule(layer).register_forward_hook(
            lambda _m, _i, out, layer=layer: seen[layer].append(out.double().mean(dim=(2, 3)).clone())
        )
    with torch.no_grad():
        logits = torch.cat([model(batch) for batch in images.split(64)])
    pooled = {layer: torch.cat(parts).numpy() for layer, parts in seen.items()}
    return logits.double().numpy(), pooled, np.array(data["label"])


@pytest.fixture(scope="module", params=["tuned", "lowlr", "frozen", "frozen-eval"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def log_losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.array(
        [math.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, labels, strict=True)]
    )


def test_every_number_of_a_report_equals_its_reference(audited: Any, sample: Path, name: str) -> None:
    _, report = audited(f"{name}.safetensors", "--max-drop", "2pt", cwd=sample)
    base_logits, base_features, labels = plain(sample, "base")
    logits, features, _ = plain(sample, name)
    source = report["source"][0]
    base_right, right = base_logits.argmax(1) == labels, logits.argmax(1) == labels
    n, forgotten, gained = len(labels), int((base_right & ~right).sum()), int((~base_right & right).sum())

    assert source["flips"]["forgotten"] == forgotten
    assert source["flips"]["gained"] == gained
    assert source["accuracy"]["base"] == pytest.approx(base_right.mean(), abs=1e-12)
    assert source["accuracy"]["tuned"] == pytest.approx(right.mean(), abs=1e-12)

    low, high = reference_statistics.tango_limits(forgotten, gained, n, norm.ppf(0.975))
    drop = source["accuracy"]["drop"]
    assert (drop["low"], drop["high"]) == pytest.approx((low, high), abs=1e-6)
    low, high = reference_statistics.tango_limits(forgotten, gained, n, norm.ppf(0.95))
    limits = report["verdict"]["rules"][0]["limits"]
    assert (limits["low"], limits["high"]) == pytest.approx((low, high), abs=1e-6)
    exact, mid_p = reference_statistics.mcnemar(forgotten, gained)
    assert (source["mcnemar"]["exact"], source["mcnemar"]["mid_p"]) == pytest.approx((exact, mid_p), rel=1e-6)

    increase = log_losses(logits, labels) - log_losses(base_logits, labels)
    told = source["nll"]["increase"]
    reach = student.ppf(0.975, n - 1) * increase.std(ddof=1) / math.sqrt(n)
    assert told["estimate"] == pytest.approx(increase.mean(), abs=1e-6)
    assert (told["low"], told["high"]) == pytest.approx(
        (increase.mean() - reach, increase.mean() + reach), abs=1e-6
    )

    for layer in report["features"][0]["layers"]:
        cka = reference_features.debiased_cka(base_features[layer["layer"]], features[layer["layer"]])
        assert layer["cka"]["estimate"] == pytest.approx(cka, abs=1e-6)


def test_every_distance_equals_its_reference(audited: Any, sample: Path, name: str) -> None:
    _, report = audited(f"{name}.safetensors", cwd=sample)
    base, tuned = load_file(sample / "base.safetensors"), load_file(sample / f"{name}.safetensors")
    for row in report["weights"][0]["tensors"]:
        one, two = base[row["name"]], tuned[row["name"]]
        assert row["distance"] == pytest.approx(reference_weights.distance(one, two), abs=1e-6)
        if isinstance(row["relative"], float):
            assert row["relative"] == pytest.approx(reference_weights.relative(one, two), abs=1e-6)
        if isinstance(row["one_minus_cosine"], float):
            expected = reference_weights.one_minus_cosine(one, two)
            assert row["one_minus_cosine"] == pytest.approx(expected, abs=1e-6)
    parameters = [key for key in base if base[key].is_floating_point() and "running" not in key]
    ours = np.concatenate([base[key].double().numpy().ravel() for key in parameters])
    theirs = np.concatenate([tuned[key].double().numpy().ravel() for key in parameters])
    total = report["weights"][0]["total"]
    assert total["distance"] == pytest.approx(np.linalg.norm(theirs - ours), rel=1e-6)
    assert total["relative"] == pytest.approx(np.linalg.norm(theirs - ours) / np.linalg.norm(ours), rel=1e-6)

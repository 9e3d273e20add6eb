"""A stitched head is the ridge regression that it says it is: fitted by hand, on the half that was searched."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from tests.reference import remedies as reference
from torch import nn

from forgetaudit.data.readers import open_examples
from forgetaudit.data.split_halves import split_halves


def network(folder: Path, weights: dict[str, torch.Tensor]) -> nn.Module:
    spec = importlib.util.spec_from_file_location("digits_by_hand", folder / "digits.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model: nn.Module = module.build()
    model.load_state_dict(weights)
    return model.eval()


def seen(model: Any, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """What goes into the head, and its scores."""
    inputs: list[torch.Tensor] = []
    handle = model.head.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with torch.no_grad():
        scores = model(images)
    handle.remove()
    return inputs[0].double().numpy(), scores.double().numpy()


def searched(folder: Path, name: str) -> torch.Tensor:
    examples = open_examples(
        name, directory=folder, split=None, input_column=None, label_column=None, limit=None, seed=0
    )
    half, _ = split_halves(examples, name)
    pixels = [np.asarray(example.input, dtype=np.float32)[None] / 255 for example in half]
    return torch.from_numpy(np.stack(pixels))


def test_a_stitched_head_is_ridge_by_hand_on_source_and_target(forgetaudit: Any, workplace: Path) -> None:
    run = forgetaudit(
        "repair", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--target", "target_val",
        "--families", "stitch", "-o", "fixed.safetensors", "--output", "json=r.json", cwd=workplace,
    )  # fmt: skip
    assert run.code == 0, run.err
    section = json.loads((workplace / "r.json").read_text())["repair"]
    share = float(section["chosen"].removeprefix("stitch "))
    penalty = float(re.search(r"penalty (\S+),", section["notes"][0])[1])  # type: ignore[index]
    base, tuned = (load_file(workplace / f"{name}.safetensors") for name in ("base", "tuned"))
    source, target = (searched(workplace, name) for name in ("src_val", "target_val"))
    model = network(workplace, tuned)
    (z, scores), (z_target, scores_target) = seen(model, source), seen(model, target)
    wanted = seen(network(workplace, base), source)[1]
    # Of the target tuned itself is to be answered: its scores lack nothing there.
    weight, bias = reference.ridge(
        [z, z_target], [wanted - scores, np.zeros_like(scores_target)], [share, 1 - share], penalty
    )
    fixed = load_file(workplace / "fixed.safetensors")
    expected = tuned["head.weight"].double().numpy() + weight, tuned["head.bias"].double().numpy() + bias
    np.testing.assert_allclose(fixed["head.weight"].numpy(), expected[0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(fixed["head.bias"].numpy(), expected[1], rtol=1e-3, atol=1e-3)

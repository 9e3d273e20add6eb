"""What was trained, from which parameters moved; and that a full fine-tune gives no recipe away."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from forgetaudit.checkpoints.checkpoint import TensorInfo
from forgetaudit.values import NotMeasured
from forgetaudit.weights.changes import Change, TensorChange, WeightChanges, role_of
from forgetaudit.weights.recipes import find_layer_rates, find_recipe
from forgetaudit.weights.sums import Sums

BLOCKS = 8
NAMES = [
    "embed_tokens.weight",
    *[f"layers.{n}.{part}" for n in range(BLOCKS) for part in ("attn.weight", "attn.bias", "norm.weight", "norm.bias", "mlp.weight")],
    "norm.weight",
    "lm_head.weight",
]  # fmt: skip


def changes(moved: Callable[[str], float], names: Iterable[str] = NAMES) -> WeightChanges:
    """Each tensor moved by that root mean square; by 0 it is bit-identical."""
    rows = []
    for name in names:
        shape = (4,) if name.endswith("bias") or "norm" in name else (4, 4)
        n = int(np.prod(shape))
        info = TensorInfo(name=name, dtype="float32", shape=shape, n_bytes=4 * n)
        rms = moved(name)
        sums = Sums(n_elements=n, n_changed=n if rms else 0, base_square=1.0, delta_square=n * rms**2)
        rows.append(
            TensorChange(
                name=name, base=info, tuned=info, role=role_of(name, "float32"),
                change=Change.CHANGED if rms else Change.IDENTICAL, sums=sums,
            )
        )  # fmt: skip
    return WeightChanges(tensors=tuple(rows))


@pytest.mark.parametrize(
    ("kind", "trained"),
    [
        ("bias-only", lambda name: name.endswith("bias")),
        ("norm-only", lambda name: "norm" in name),
        ("head-only", lambda name: name.startswith("lm_head")),
        ("last-blocks-only", lambda name: name.startswith(("layers.6", "layers.7", "lm_head", "norm"))),
    ],
)
def test_each_recipe_is_known_by_what_moved(kind: str, trained: Callable[[str], bool]) -> None:
    found = find_recipe(changes(lambda name: 0.1 * trained(name)))
    assert found is not None
    assert found.kind == kind
    assert found.n_changed == sum(trained(name) for name in NAMES)
    assert found.n_parameters == len(NAMES)


def test_the_last_blocks_are_named() -> None:
    found = find_recipe(changes(lambda name: 0.1 * name.startswith(("layers.6", "layers.7"))))
    assert found is not None
    assert (found.blocks, found.n_blocks) == (("layers.6", "layers.7"), BLOCKS)


@pytest.mark.parametrize(
    "trained",
    [
        lambda name: True,
        lambda name: False,
        lambda name: name.endswith("attn.weight"),
        lambda name: name.startswith("layers.0"),
        lambda name: name.startswith(("layers.7", "embed_tokens")),
    ],
)
def test_what_is_none_of_the_recipes_gives_none(trained: Callable[[str], bool]) -> None:
    assert find_recipe(changes(lambda name: 0.1 * trained(name))) is None


def depth(name: str) -> int:
    return int(name.split(".")[1]) if name.startswith("layers.") else BLOCKS


@pytest.mark.parametrize("factor", [0.65, 0.9])
def test_layer_wise_rates_show_as_one_factor(factor: float) -> None:
    noise = dict(zip(NAMES, np.random.default_rng(0).normal(0, 0.02, len(NAMES)), strict=True))
    found = find_layer_rates(
        changes(lambda name: 0.1 * factor ** (BLOCKS - depth(name)) * np.exp(noise[name]))
    )
    assert not isinstance(found, NotMeasured)
    assert found.factor == pytest.approx(factor, rel=0.02)
    assert found.n_blocks == BLOCKS


@pytest.mark.parametrize(
    "moved",
    [
        lambda name: 0.1,
        lambda name: 0.1 * (1 + (depth(name) % 2)),
        lambda name: 0.1 * 0.8 ** depth(name),
        lambda name: 0.1 * 0.9 ** (BLOCKS - depth(name)) if depth(name) > 3 else 0.0,
    ],
    ids=["one rate", "noise", "the other way round", "frozen blocks"],
)
def test_blocks_that_moved_otherwise_show_no_layer_wise_rates(moved: Callable[[str], float]) -> None:
    assert isinstance(find_layer_rates(changes(moved)), NotMeasured)

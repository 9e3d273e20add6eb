import importlib.util
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
EXPECTED = json.loads((SAMPLES / "expected.json").read_text())
CHECKPOINTS = ("base", "tuned", "lowlr", "frozen", "frozen-eval")


def module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, SAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def tensors(name: str) -> dict[str, Tensor]:
    return load_file(SAMPLES / name)


def network(state: dict[str, Tensor]) -> nn.Module:
    model: nn.Module = module("digits").build()
    model.load_state_dict(state)
    return model


def held_out(name: str) -> tuple[Tensor, Tensor]:
    data = datasets.load_from_disk(str(SAMPLES / name))
    images = np.stack([np.asarray(image) for image in data["image"]])
    return torch.from_numpy(images).float().div(255)[:, None], torch.tensor(data["label"][:])


def n_right(model: nn.Module, x: Tensor, y: Tensor) -> int:
    with torch.no_grad():
        return int((model(x).argmax(dim=1) == y).sum())


def changed(name: str) -> set[str]:
    base, other = tensors("base.safetensors"), tensors(name)
    assert base.keys() == other.keys()
    return {key for key in base if not torch.equal(base[key], other[key])}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("data", ["src_val", "target_val"])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_checkpoint_is_as_accurate_as_the_script_measured(name: str, data: str) -> None:
    found = n_right(network(tensors(f"{name}.safetensors")), *held_out(data))
    # Another processor may round a score the other way; it does not change what a sample shows.
    assert abs(found - EXPECTED[name][data]["right"]) <= 1


def test_the_samples_show_what_they_are_meant_to_show() -> None:
    source = {name: EXPECTED[name]["src_val"]["accuracy"] for name in CHECKPOINTS}
    assert source["base"] > 0.95
    assert source["base"] - source["tuned"] > 0.08
    assert 0 <= source["base"] - source["lowlr"] < 0.02
    assert source["base"] - source["frozen-eval"] > 0.08
    assert EXPECTED["tuned"]["target_val"]["accuracy"] > 0.95


def test_the_readme_tells_the_accuracies_that_were_measured() -> None:
    readme = (SAMPLES / "README.md").read_text().splitlines()
    for name, accuracies in EXPECTED.items():
        row = next(line for line in readme if line.startswith(f"| `{name}` |"))
        assert row.endswith(
            "| "
            + " | ".join(
                f"{accuracies[data]['accuracy']:.1%}".replace("%", " %") for data in ("src_val", "target_val")
            )
            + " |"
        )


def test_the_frozen_featurizer_moved_in_its_buffers_alone() -> None:
    moved = changed("frozen.safetensors")
    buffers = {"running_mean", "running_var", "num_batches_tracked"}
    assert {key for key in moved if key.split(".")[-1] not in buffers} == {"head.weight", "head.bias"}
    assert sum(key.split(".")[-1] in buffers for key in moved) == 21


def test_the_featurizer_that_was_truly_frozen_did_not_move_at_all() -> None:
    assert changed("frozen-eval.safetensors") == {"head.weight", "head.bias"}


def test_the_run_ends_in_tuned_and_logs_every_step() -> None:
    log = json.loads((SAMPLES / "run" / "training_log.json").read_text())
    steps = sorted(
        int(path.name.removeprefix("checkpoint-")) for path in (SAMPLES / "run").glob("checkpoint-*")
    )
    assert len(steps) >= 5
    assert len(log["learning_rates"]) == steps[-1] == log["recipe"]["steps"]
    last = SAMPLES / "run" / f"checkpoint-{steps[-1]}"
    assert (last / "model.safetensors").read_bytes() == (SAMPLES / "tuned.safetensors").read_bytes()
    history = json.loads((last / "trainer_state.json").read_text())["log_history"]
    assert [entry["learning_rate"] for entry in history] == log["learning_rates"]


def test_no_step_of_the_run_went_further_than_its_log_allows() -> None:
    log = json.loads((SAMPLES / "run" / "training_log.json").read_text())
    base, tuned = tensors("base.safetensors"), tensors("tuned.safetensors")
    furthest = max(float((tuned[key] - base[key]).abs().max()) for key in base if "conv1.weight" in key)
    # AdamW with β (.9, .999) moves a coordinate by at most 7.27 rates a step, beside its weight decay.
    decay = log["recipe"]["weight_decay"] * max(float(base[key].abs().max()) for key in base)
    assert 0 < furthest <= sum(log["learning_rates"]) * (7.27 + decay)


def test_the_data_are_held_out_and_the_target_is_the_source_upside_down() -> None:
    rows = {
        name: [np.asarray(image) for image in datasets.load_from_disk(str(SAMPLES / name))["image"]]
        for name in ("src_train", "src_val", "target_val")
    }
    trained = {image.tobytes() for image in rows["src_train"]}
    assert [len(rows[name]) for name in rows] == [1000, 797, 797]
    assert not any(image.tobytes() in trained for image in rows["src_val"])
    turned = zip(rows["src_val"], rows["target_val"], strict=True)
    assert all(np.array_equal(np.rot90(source, 2), target) for source, target in turned)


def test_the_config_names_the_network() -> None:
    config = tomllib.loads((SAMPLES / "forgetaudit.toml").read_text())
    assert config == {"model": "digits.py:build"}


def test_the_samples_stay_small() -> None:
    written = [path for path in SAMPLES.rglob("*") if path.is_file() and "cache" not in str(path.parent)]
    assert sum(path.stat().st_size for path in written) < 3_000_000
    assert sum(parameter.numel() for parameter in module("digits").build().parameters()) < 60_000

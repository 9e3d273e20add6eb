"""Makes the sample checkpoints and data sets from scikit-learn's digits: real scans, seeded, on one thread.

Run it as `make samples`. Two runs on one machine write the same bytes; another machine or another version of
torch may round differently, so expected.json, which the tests read, is written along with the files.
"""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from digits import build

HERE = Path(__file__).resolve().parent
SEED = 20240229
N_VAL = 797
BETAS = (0.9, 0.999)
CHECKPOINT_EVERY = 20

Save = Callable[[nn.Module, list[dict[str, float]]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one network is trained; written into the training log as it stands."""

    learning_rate: float
    steps: int
    warmup_steps: int = 0
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    batch_size: int = 50
    seed: int = SEED

    def rate(self, step: int) -> float:
        """Learning rate of step 1, 2, … `steps`: linear warm-up, then half a cosine that stays above 0."""
        if step <= self.warmup_steps:
            return self.learning_rate * step / self.warmup_steps
        share = (step - self.warmup_steps - 1) / (self.steps - self.warmup_steps)
        return self.learning_rate * (1 + math.cos(math.pi * share)) / 2


PRETRAIN = Recipe(learning_rate=5e-3, steps=400, warmup_steps=20)
HIGH = Recipe(learning_rate=1e-3, steps=120, warmup_steps=10, seed=SEED + 1)
LOW = Recipe(learning_rate=1e-4, steps=40, seed=SEED + 2)
HEAD = Recipe(learning_rate=5e-3, steps=120, seed=SEED + 3)


@dataclass(frozen=True, slots=True)
class Scans:
    """Pixels (n, 8, 8) of 8 bits and labels (n,)."""

    pixels: np.ndarray
    labels: np.ndarray

    def turned(self) -> "Scans":
        """The target task: digits upside down under the same ten labels, so that 6 and 9 trade places."""
        return Scans(np.rot90(self.pixels, k=2, axes=(1, 2)).copy(), self.labels)

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Images (n, 1, 8, 8), float32 in [0, 1], and labels (n,), as the audit feeds them."""
        return torch.from_numpy(self.pixels).float().div(255)[:, None], torch.from_numpy(self.labels)


def scans() -> tuple[Scans, Scans]:
    """Training and held-out scans, stratified by class."""
    pixels, labels = load_digits(return_X_y=True)
    pixels = np.rint(pixels.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
    train, val = train_test_split(np.arange(len(labels)), test_size=N_VAL, random_state=SEED, stratify=labels)
    train, val = np.sort(train), np.sort(val)
    return Scans(pixels[train], labels[train]), Scans(pixels[val], labels[val])


def train(model: nn.Module, data: Scans, recipe: Recipe, save: Save | None = None) -> nn.Module:
    """Trains what requires a gradient with AdamW; the caller has put modules into training mode or not."""
    generator = torch.Generator().manual_seed(recipe.seed)
    x, y = data.tensors()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, betas=BETAS, eps=1e-8, weight_decay=recipe.weight_decay)
    history: list[dict[str, float]] = []
    for step in range(1, recipe.steps + 1):
        optimizer.param_groups[0]["lr"] = recipe.rate(step)
        rows = torch.randperm(len(y), generator=generator)[: recipe.batch_size]
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        grad_norm = nn.utils.clip_grad_norm_(parameters, recipe.max_grad_norm)
        optimizer.step()
        history.append(
            {
                "step": step,
                "epoch": step * recipe.batch_size / len(y),
                "learning_rate": recipe.rate(step),
                "loss": loss.item(),
                "grad_norm": grad_norm.item(),
            }
        )
        if save is not None and step % CHECKPOINT_EVERY == 0:
            save(model, history)
    return model.eval()


def copy(model: nn.Module) -> nn.Module:
    """A fresh network with the same weights and buffers."""
    other = build()
    other.load_state_dict(model.state_dict())
    return other


def tune_head(base: nn.Module, data: Scans, *, featurizer_in_training_mode: bool) -> nn.Module:
    """Trains the head alone. In training mode, BatchNorm statistics below it move all the same."""
    model = copy(base).train(featurizer_in_training_mode).requires_grad_(requires_grad=False)
    model.head.train().requires_grad_(requires_grad=True)
    return train(model, data, HEAD)


def write_checkpoint(model: nn.Module, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), path, metadata={"format": "pt"})


def write_json(value: Any, path: Path) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def write_run_checkpoint(model: nn.Module, history: list[dict[str, float]]) -> None:
    """One folder of the run, in the layout that transformers' Trainer leaves behind."""
    step = int(history[-1]["step"])
    folder = HERE / "run" / f"checkpoint-{step}"
    write_checkpoint(model, folder / "model.safetensors")
    state: dict[str, Any] = {
        "global_step": step,
        "max_steps": HIGH.steps,
        "logging_steps": 1,
        "save_steps": CHECKPOINT_EVERY,
    }
    state |= {"train_batch_size": HIGH.batch_size, "epoch": history[-1]["epoch"], "log_history": history}
    write_json(state, folder / "trainer_state.json")


def write_training_log() -> None:
    """All that a bound on the drift needs: optimizer, decay, clipping and the rate of every step."""
    rates = [HIGH.rate(step) for step in range(1, HIGH.steps + 1)]
    optimizer = {"name": "AdamW", "betas": BETAS, "eps": 1e-8, "amsgrad": False, "dtype": "float32"}
    optimizer |= {"all_weights_in_one_group": True}
    schedule = {"name": "cosine", "warmup_steps": HIGH.warmup_steps}
    log = {"base": "base.safetensors", "optimizer": optimizer, "schedule": schedule}
    write_json(log | {"recipe": asdict(HIGH), "learning_rates": rates}, HERE / "run" / "training_log.json")


def write_data(data: Scans, name: str) -> None:
    columns = {"image": [Image.fromarray(pixels) for pixels in data.pixels], "label": data.labels.tolist()}
    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=[str(digit) for digit in range(10)])
    )
    split = datasets.NamedSplit("train" if name.endswith("train") else "validation")
    datasets.Dataset.from_dict(columns, features=features, split=split).save_to_disk(str(HERE / name))


@torch.no_grad()
def accuracy(model: nn.Module, data: Scans) -> dict[str, float]:
    x, y = data.tensors()
    n_right = int((model(x).argmax(dim=1) == y).sum())
    return {"right": n_right, "n": len(y), "accuracy": n_right / len(y)}


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(SEED)
    datasets.disable_progress_bars()
    for name in ("run", "src_train", "src_val", "target_val"):
        shutil.rmtree(HERE / name, ignore_errors=True)
    src_train, src_val = scans()
    target_train, target_val = src_train.turned(), src_val.turned()
    for data, name in ((src_train, "src_train"), (src_val, "src_val"), (target_val, "target_val")):
        write_data(data, name)

    base = train(build().train(), src_train, PRETRAIN)
    checkpoints = {
        "base": base,
        "tuned": train(copy(base).train(), target_train, HIGH, write_run_checkpoint),
        "lowlr": train(copy(base).train(), target_train, LOW),
        "frozen": tune_head(base, target_train, featurizer_in_training_mode=True),
        "frozen-eval": tune_head(base, target_train, featurizer_in_training_mode=False),
    }
    write_training_log()
    for name, model in checkpoints.items():
        write_checkpoint(model, HERE / f"{name}.safetensors")
    expected = {
        name: {"src_val": accuracy(model, src_val), "target_val": accuracy(model, target_val)}
        for name, model in checkpoints.items()
    }
    write_json(expected, HERE / "expected.json")


if __name__ == "__main__":
    main()

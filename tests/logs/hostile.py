"""Logs as nobody writes them: good ones with a few values, keys or bytes changed, read as a user would have them read."""

import copy
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tests.logs import written

from forgetaudit.audits.lm_eval_logs import SamplesPlan, compare_samples
from forgetaudit.audits.weights_only import compare_weights
from forgetaudit.budget.plan import BudgetPlan
from forgetaudit.checkpoints.run_order import order_of_run
from forgetaudit.errors import AuditError
from forgetaudit.plan import AuditPlan
from forgetaudit.renderers.formats import written as rendered

# What stands where a number or a name should: each has broken a reader of somebody's.
NASTY: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 0.5, 2**31, 2**63 - 1, 2**64, 10**400, -(10**400), 1e30, -1e308, 1.7e308, 5e-324, 1e16,
    float("nan"), float("inf"), -float("inf"), "", "x", "nan", "1e999", "-1e308", "9" * 5000, "\ud800", "\x1b[31m", "0", "True",
    [], [[]], [1, 2], ["a"], {}, {"a": 1}, [None], "AdamW", "adafactor", "sgd", "float32", [0.9, 0.999], [0.9, 1.0],
    10**9, 10**12,
)  # fmt: skip

_ROWS = [
    {"step": i, "learning_rate": 1e-3, "grad_norm": 1.0, "loss": 1.0, "epoch": i / 4} for i in range(1, 5)
]
_SETTINGS = {
    "base": "base.safetensors",
    "optimizer": {"name": "AdamW", "betas": [0.9, 0.999], "eps": 1e-8, "dtype": "float32", "amsgrad": False},
    "schedule": {"name": "cosine", "warmup_steps": 1},
    "recipe": {
        "learning_rate": 1e-3,
        "steps": 4,
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
        "momentum": 0.9,
    },
}
_STATE = {"global_step": 4, "max_steps": 9, "log_history": _ROWS}
TRAINING: dict[str, Any] = {
    "trainer_state.json": _STATE,
    "log.json": _SETTINGS | {"learning_rates": [1e-3] * 4},
    "schedule.json": _SETTINGS,
    "log.jsonl": _ROWS,
    "log.csv": _ROWS,
}
SAMPLES: tuple[Any, ...] = (
    written.choices(6, wrong=[1]),
    [written.rolling_line(i, -80.0 - i, 20) for i in range(4)],
    [written.last_word_line(i, -1.5, greedy=i > 2) for i in range(4)],
    [written.generated_line(i, right=i > 2) for i in range(4)],
    # What lies beside them, and is no log of answers: a summary of results.
    [
        {
            "results": {"arc": {"acc,none": 0.5, "acc_stderr,none": 0.1}},
            "configs": {},
            "n-samples": {"arc": {"original": 9}},
        }
    ],
)


def changed(value: Any, draw: random.Random, n: int) -> Any:
    """A copy with `n` of its places replaced, removed or doubled."""
    value = copy.deepcopy(value)
    for _ in range(n):
        places = list(_places(value))
        if not places:
            return draw.choice(NASTY)
        holder, key = draw.choice(places)
        if draw.random() < 0.8:
            holder[key] = copy.deepcopy(draw.choice(NASTY))
        elif draw.random() < 0.5:
            del holder[key]
        else:
            other, another = draw.choice(places)
            holder[key] = copy.deepcopy(other.get(another) if isinstance(other, dict) else None)
    return value


def _places(value: Any) -> Any:
    """Every (holder, key) in it."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def spoiled(text: bytes, draw: random.Random) -> bytes:
    """With a few bytes changed, or cut short; mostly as it is."""
    if draw.random() < 0.7:
        return text
    data = bytearray(text)
    for _ in range(draw.randrange(4)):
        if data:
            data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data[: draw.randrange(len(data) + 1)] if draw.random() < 0.3 else data)


def as_lines(rows: Any) -> bytes:
    rows = rows if isinstance(rows, list) else [rows]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_table(rows: Any) -> bytes:
    kept = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    names = list(dict.fromkeys(str(name) for row in kept for name in row))
    lines = [",".join(names), *(",".join(str(row.get(name, "")) for name in names) for row in kept)]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


class Hostile:
    """A folder with a pair of weights and one log of each kind, to be spoiled again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run = folder, folder / "run"
        self.run.mkdir(parents=True, exist_ok=True)
        save_file({"w": torch.full((3, 2), 0.5), "b": torch.zeros(3)}, folder / "base.safetensors")
        save_file({"w": torch.full((3, 2), 0.51), "b": torch.ones(3)}, folder / "tuned.safetensors")
        save_file({"w": torch.full((3, 2), 0.51), "b": torch.ones(3)}, self.run / "model.safetensors")
        self.optimizers = [_state_of(make) for make in (_adamw, _sgd)]

    def attack(self, draw: random.Random) -> None:
        """One input of a kind that `draw` chooses. Everything but a refusal in words gets through."""
        draw.choices((self.answers, self.training, self.optimizer), (3, 4, 1))[0](draw)

    def answers(self, draw: random.Random) -> None:
        """A log of answers, paired with a good one."""
        good = draw.choice(SAMPLES)
        (self.folder / "a.jsonl").write_bytes(as_lines(good))
        (self.folder / "b.jsonl").write_bytes(
            spoiled(as_lines(changed(good, draw, draw.randrange(1, 4))), draw)
        )
        pair = [self.folder / "a.jsonl", self.folder / "b.jsonl"]
        draw.shuffle(pair)
        self._refused_or_rendered(lambda: compare_samples(SamplesPlan(base=pair[0], tuned=pair[1])), draw)

    def training(self, draw: random.Random) -> None:
        """A training log of one of its forms."""
        name = draw.choice(list(TRAINING))
        bad = changed(TRAINING[name], draw, draw.randrange(1, 4))
        suffix = name.rpartition(".")[2]
        write = {"json": lambda value: json.dumps(value).encode(), "jsonl": as_lines, "csv": as_table}[suffix]
        path = (self.run if name == "trainer_state.json" else self.folder) / name
        path.write_bytes(spoiled(write(bad), draw))
        for other in self.run.glob("optimizer.pt"):
            other.unlink()
        self._weighed(path, draw)
        if name == "trainer_state.json":
            self._refused_or(lambda: order_of_run([self.folder / "base.safetensors", self.run]))

    def optimizer(self, draw: random.Random) -> None:
        """The saved state of an optimizer, beside a good log."""
        torch.save(
            changed(draw.choice(self.optimizers), draw, draw.randrange(1, 4)), self.run / "optimizer.pt"
        )
        path = self.run / "optimizer.pt"
        path.write_bytes(spoiled(path.read_bytes(), draw))
        (self.run / "trainer_state.json").write_text(json.dumps(_STATE))
        self._weighed(self.run, draw)

    def _weighed(self, log: Path, draw: random.Random) -> None:
        files = AuditPlan(
            base=self.folder / "base.safetensors",
            tuned=(self.folder / "tuned.safetensors",),
            names=("tuned",),
        )
        self._refused_or_rendered(lambda: compare_weights(files, budget=BudgetPlan(log=log)), draw)

    def _refused_or_rendered(self, make: Callable[[], Any], draw: random.Random) -> None:
        if (report := self._refused_or(make)) is not None:
            rendered(report, "json")
            rendered(report, draw.choice(("txt", "csv", "md", "html", "junit", "github")))

    def _refused_or(self, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except AuditError as refusal:
            if not (refusal.fact and refusal.hint):
                raise AssertionError("a refusal without words") from refusal
            return None


def _state_of(make: Callable[[list[Any]], torch.optim.Optimizer]) -> dict[str, Any]:
    weights = [torch.nn.Parameter(torch.ones(3, 2)), torch.nn.Parameter(torch.ones(3))]
    optimizer = make([{"params": weights[:1]}, {"params": weights[1:], "weight_decay": 0.0}])
    for _ in range(2):
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        optimizer.step()
    state: dict[str, Any] = optimizer.state_dict()
    return state


def _adamw(groups: list[Any]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=1e-3)


def _sgd(groups: list[Any]) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9)

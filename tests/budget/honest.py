"""Tiny networks really trained by torch's optimizers, and logged as their loggers log: what no audit may call false."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

Rate = Callable[[int], float]
Names = dict[str, Tensor]


class Lion(torch.optim.Optimizer):
    """Chen et al. (arXiv 2302.06675), with decoupled decay."""

    def __init__(
        self, params: Any, lr: float, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
    ):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in [one for one in group["params"] if one.grad is not None]:
                kept = self.state[weight].setdefault("exp_avg", torch.zeros_like(weight))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(group["lr"] * torch.sign(kept.lerp(weight.grad, 1 - group["betas"][0])))
                kept.lerp_(weight.grad, 1 - group["betas"][1])


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One run. `rates` has a schedule a parameter group, of steps from 1; `make` gets the groups and their first rates."""

    make: Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
    rates: Sequence[Rate] = (lambda t: 1e-2,)
    n_steps: int = 24
    dtype: torch.dtype = torch.float32
    master: bool = False
    pull: float = 1.0
    clip: float | None = None
    accumulate: int = 1
    averaged: str = ""
    restarts: tuple[int, ...] = ()
    each_step: Callable[[torch.optim.Optimizer, int], None] | None = None
    frozen: bool = False
    seed: int = 0


@dataclass(kw_only=True)
class Trained:
    """Base and tuned, and what a logger has seen: rate of the first group and norm of the gradient in every step."""

    base: Names
    tuned: Names
    optimizer: torch.optim.Optimizer
    rates: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    written: torch.dtype = torch.float32


@cache
def train(recipe: Recipe) -> Trained:
    """A regression, and a pull on every weight in one direction: the straightest way that an optimizer can go."""
    draw = torch.Generator().manual_seed(recipe.seed)
    shapes = {"a.weight": (5, 4), "a.bias": (5,), "b.weight": (3, 5), "b.bias": (3,)}
    base = {
        name: (0.5 * torch.randn(shape, generator=draw)).to(recipe.dtype) for name, shape in shapes.items()
    }
    pulls = {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    weights = {
        name: nn.Parameter(one.float() if recipe.master else one.clone()) for name, one in base.items()
    }
    groups = _groups(weights, len(recipe.rates), recipe)
    optimizer = recipe.make(groups)
    averages = {name: one.detach().clone().float() for name, one in weights.items()}
    found = Trained(base=base, tuned={}, optimizer=optimizer, written=next(iter(weights.values())).dtype)
    for step in range(1, recipe.n_steps + 1):
        if step - 1 in recipe.restarts:
            optimizer = found.optimizer = recipe.make(_groups(weights, len(recipe.rates), recipe))
        for group, rate in zip(optimizer.param_groups, recipe.rates, strict=True):
            group["lr"] = rate(step)
        if recipe.each_step is not None:
            recipe.each_step(optimizer, step)
        optimizer.zero_grad()
        for _ in range(recipe.accumulate):
            _loss(weights, pulls, recipe.pull, draw).backward()
        moving = [one for one in weights.values() if one.grad is not None]
        norm = nn.utils.clip_grad_norm_(
            moving, math.inf if recipe.clip is None else recipe.clip, foreach=False
        )
        optimizer.step()
        found.rates.append(optimizer.param_groups[0]["lr"])
        found.norms.append(float(norm))
        for name, one in weights.items():
            share = 1 / step if recipe.averaged == "swa" else 0.2
            averages[name] += share * (one.detach().float() - averages[name])
        if recipe.averaged == "best" and step == recipe.n_steps - 5:
            best = {name: one.detach().clone() for name, one in weights.items()}
    kept = {"": weights, "best": {}}.get(recipe.averaged, averages)
    kept = best if recipe.averaged == "best" else kept
    found.tuned = {
        name: one.detach().to(recipe.dtype if recipe.master else one.dtype) for name, one in kept.items()
    }
    return found


def _groups(weights: dict[str, nn.Parameter], n: int, recipe: Recipe) -> list[dict[str, Any]]:
    names = list(weights)
    if recipe.frozen:
        for name in names[:2]:
            weights[name].requires_grad_(requires_grad=False)
    each = -(-len(names) // n)
    parts = [names[start : start + each] for start in range(0, len(names), each)]
    return [
        {"params": [weights[name] for name in part], "lr": rate(1)}
        for part, rate in zip(parts, recipe.rates, strict=True)
    ]


def _loss(weights: dict[str, nn.Parameter], pulls: Names, pull: float, draw: torch.Generator) -> Tensor:
    x = torch.randn(8, 4, generator=draw)
    wide = {name: one.float() for name, one in weights.items()}
    hidden = torch.tanh(x @ wide["a.weight"].T + wide["a.bias"])
    y = hidden @ wide["b.weight"].T + wide["b.bias"]
    pulled = sum((wide[name] * pulls[name]).sum() for name in wide)
    return (y - x[:, :3]).square().mean() + pull * pulled


def save(run: Trained, folder: Path) -> tuple[Path, Path]:
    """base.safetensors and tuned.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "base.safetensors", folder / "tuned.safetensors"
    for path, names in zip(paths, (run.base, run.tuned), strict=True):
        save_file({name: one.contiguous() for name, one in names.items()}, path)
    return paths


def log_own(run: Trained, recipe: Recipe, folder: Path, *, scale: float = 1.0, **more: Any) -> Path:
    """A JSON object that says everything of the run, as the sample's does; in one group where it was one."""
    group = run.optimizer.param_groups[0]
    optimizer = {
        name: group[name] for name in ("betas", "eps", "momentum", "nesterov", "dampening") if name in group
    }
    optimizer |= {"name": type(run.optimizer).__name__, "dtype": str(run.written).removeprefix("torch.")}
    if len(run.optimizer.param_groups) == 1:
        optimizer["all_weights_in_one_group"] = True
    log = {"optimizer": optimizer, "weight_decay": group["weight_decay"]}
    log |= {"learning_rates": [scale * rate for rate in run.rates]}
    if recipe.clip is not None:
        log["max_grad_norm"] = recipe.clip
    path = folder / "log.json"
    path.write_text(json.dumps(log | more))
    return path


def log_trainer(
    run: Trained,
    folder: Path,
    *,
    every: int = 1,
    optimizer: bool = True,
    shifted: bool = False,
    scale: float = 1.0,
) -> Path:
    """What transformers' Trainer leaves: trainer_state.json, and optimizer.pt."""
    folder = folder / "run"
    folder.mkdir(parents=True, exist_ok=True)
    n_steps = len(run.rates)
    rows = [
        {
            "step": step,
            "learning_rate": scale * run.rates[min(step, n_steps - 1) if shifted else step - 1],
            "grad_norm": run.norms[step - 1],
            "loss": 1.0,
        }
        for step in range(every, n_steps + 1, every)
    ]
    state = {"global_step": n_steps, "max_steps": n_steps, "log_history": rows}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    (folder / "optimizer.pt").unlink(missing_ok=True)
    if optimizer:
        torch.save(run.optimizer.state_dict(), folder / "optimizer.pt")
    return folder


def log_table(run: Trained, folder: Path, *, again_after: int = 0, scale: float = 1.0) -> Path:
    """CSV of a loop of one's own; its steps start again after a restart."""
    rows = ["step,lr"]
    for at, rate in enumerate(run.rates):
        step = at + 1 - (again_after if again_after and at >= again_after else 0)
        rows.append(f"{step},{scale * rate!r}")
    (folder / "log.csv").write_text("\n".join(rows))
    return folder / "log.csv"


# Schedules.


def warm_cosine(peak: float, n: int, warm: int = 4) -> Rate:
    return lambda t: (
        peak * t / warm if t <= warm else peak * (1 + math.cos(math.pi * (t - warm - 1) / (n - warm))) / 2
    )


def linear(peak: float, n: int) -> Rate:
    return lambda t: peak * (1 - (t - 1) / n)


def sawtooth(peak: float, period: int) -> Rate:
    """Lowest in every `period`-th step, which is the one that is logged."""
    return lambda t: peak * (1 - 0.95 * ((t - 1) % period) / (period - 1))


def restarts(peak: float, period: int) -> Rate:
    return lambda t: peak * (1 + math.cos(math.pi * ((t - 1) % period) / period)) / 2


def one_cycle(peak: float, n: int) -> Rate:
    return lambda t: peak * (0.1 + 0.9 * math.sin(math.pi * t / (n + 1)))


def thaw(peak: float, at: int) -> Rate:
    return lambda t: peak if t > at else 0.0


def cycles_momentum(
    low: float, high: float, n: int, *, marked: bool
) -> Callable[[torch.optim.Optimizer, int], None]:
    """As OneCycleLR moves it: down, while the rate goes up; `marked` as it leaves its range in the group."""

    def change(optimizer: torch.optim.Optimizer, step: int) -> None:
        value = high - (high - low) * math.sin(math.pi * step / (n + 1))
        for group in optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (value, group["betas"][1])
            else:
                group["momentum"] = value
            if marked:
                group |= {"base_momentum": low, "max_momentum": high}

    return change


def fading_decay(first: float, last: float, n: int) -> Callable[[torch.optim.Optimizer, int], None]:
    def change(optimizer: torch.optim.Optimizer, step: int) -> None:
        for group in optimizer.param_groups:
            group["weight_decay"] = first + (last - first) * step / n

    return change


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run and how it is logged; `proved` where its log says all of it, so that nothing may be found at all."""

    name: str
    recipe: Recipe
    log: Callable[[Trained, Recipe, Path], Path]
    proved: bool = False


def _adamw(**options: Any) -> Callable[[Any], torch.optim.Optimizer]:
    return lambda groups: torch.optim.AdamW(groups, **({"foreach": False} | options))


def _adam(**options: Any) -> Callable[[Any], torch.optim.Optimizer]:
    return lambda groups: torch.optim.Adam(groups, **({"foreach": False} | options))


def _sgd(**options: Any) -> Callable[[Any], torch.optim.Optimizer]:
    return lambda groups: torch.optim.SGD(groups, **({"foreach": False} | options))


def _lion(**options: Any) -> Callable[[Any], torch.optim.Optimizer]:
    return lambda groups: Lion(groups, lr=1e-3, **options)


def _trainer(**options: Any) -> Callable[[Trained, Recipe, Path], Path]:
    return lambda run, recipe, folder: log_trainer(run, folder, **options)


def _table(**options: Any) -> Callable[[Trained, Recipe, Path], Path]:
    return lambda run, recipe, folder: log_table(run, folder, **options)


N = 24
ALONE: dict[str, Recipe] = {
    "adamw": Recipe(make=_adamw(weight_decay=0.01), rates=(warm_cosine(1e-2, N),)),
    "adamw, strong decay": Recipe(make=_adamw(weight_decay=5.0), rates=(linear(2e-2, N),)),
    "adamw, short betas": Recipe(make=_adamw(betas=(0.9, 0.95)), rates=(lambda t: 5e-3,)),
    "adamw, amsgrad": Recipe(make=_adamw(amsgrad=True), rates=(linear(1e-2, N),)),
    "adamw, maximize": Recipe(make=_adamw(maximize=True), rates=(lambda t: 1e-2,)),
    "adamw, foreach": Recipe(make=_adamw(foreach=True), rates=(lambda t: 1e-2,)),
    "adam": Recipe(make=_adam(), rates=(linear(1e-2, N),)),
    "adam, coupled decay": Recipe(make=_adam(weight_decay=0.5), rates=(lambda t: 1e-2,)),
    "adam, decoupled decay": Recipe(make=_adam(weight_decay=2.0, decoupled_weight_decay=True), rates=(lambda t: 1e-2,)),
    "lion": Recipe(make=_lion(weight_decay=0.1), rates=(warm_cosine(3e-3, N),)),
    "clipped sgd": Recipe(make=_sgd(momentum=0.9), rates=(linear(5e-2, N),), clip=0.5),
    "clipped sgd, nesterov": Recipe(make=_sgd(momentum=0.9, nesterov=True), rates=(lambda t: 2e-2,), clip=0.5),
    "clipped sgd, dampening": Recipe(make=_sgd(momentum=0.9, dampening=0.5), rates=(lambda t: 2e-2,), clip=0.5),
    "clipped sgd, decay": Recipe(make=_sgd(weight_decay=0.1), rates=(lambda t: 5e-2,), clip=1.0),
    "restarts": Recipe(make=_adamw(), rates=(restarts(1e-2, 6),)),
    "ema": Recipe(make=_adamw(), averaged="ema"),
    "swa": Recipe(make=_adamw(), averaged="swa"),
    "best, not last": Recipe(make=_adamw(weight_decay=1.0), rates=(linear(1e-2, N),), averaged="best"),
    "master weights": Recipe(make=_adamw(), dtype=torch.bfloat16, master=True, rates=(lambda t: 1e-3,)),
    "bfloat16": Recipe(make=_adamw(), dtype=torch.bfloat16, rates=(lambda t: 1e-4,)),
    "bfloat16, decay": Recipe(make=_adamw(weight_decay=0.1), dtype=torch.bfloat16, rates=(lambda t: 1e-3,)),
    "float16 masters": Recipe(make=_adamw(), dtype=torch.float16, master=True, rates=(lambda t: 1e-4,)),
    "accumulation": Recipe(make=_adamw(), accumulate=4),
    "clipped adam": Recipe(make=_adamw(), clip=0.01),
    "noise": Recipe(make=_adamw(), pull=0.0),
}  # fmt: skip


def _as_float32(run: Trained) -> Trained:
    """What a script does that saves with .float()."""
    return replace(
        run,
        tuned={name: one.float() for name, one in run.tuned.items()},
        base={name: one.float() for name, one in run.base.items()},
    )


def _own(run: Trained, recipe: Recipe, folder: Path) -> Path:
    return log_own(run, recipe, folder)


def _own_in_float32(run: Trained, recipe: Recipe, folder: Path) -> Path:
    save(_as_float32(run), folder)
    return log_own(run, recipe, folder)


def _silent(log: Callable[[Trained, Recipe, Path], Path]) -> Callable[[Trained, Recipe, Path], Path]:
    """Saved as float32 whatever it was trained in, and nothing says so."""

    def saved(run: Trained, recipe: Recipe, folder: Path) -> Path:
        save(_as_float32(run), folder)
        return log(run, recipe, folder)

    return saved


def _lora(log: Callable[[Trained, Recipe, Path], Path]) -> Callable[[Trained, Recipe, Path], Path]:
    """The factors were trained, and their product, five times over, was merged into another matrix."""

    def merged(run: Trained, recipe: Recipe, folder: Path) -> Path:
        delta = 5 * (run.tuned["a.bias"][:, None] * run.tuned["b.bias"][None, :])
        base = {"w": torch.ones(5, 3), "head": torch.ones(4)}
        save(replace(run, base=base, tuned={"w": base["w"] + delta, "head": base["head"]}), folder)
        return log(run, recipe, folder)

    return merged


def _odd() -> Iterator[Case]:
    """What no log tells, or what it tells in part."""
    adamw, logs = _adamw(), {"state": _trainer(), "state alone": _trainer(optimizer=False), "table": _table()}
    two = {
        "other schedule in the second group": (lambda t: 1e-4, linear(2e-2, N)),
        "crossing schedules": (linear(1e-2, N), lambda t: 1e-2 * t / N),
        "layer-wise rates": (lambda t: 1e-4, lambda t: 1e-3, lambda t: 5e-3, lambda t: 1e-2),
        "the first group thaws last": (thaw(1e-2, 20), lambda t: 1e-2),
        "the first group is frozen": (lambda t: 0.0, lambda t: 1e-2),
    }
    for name, rates in two.items():
        for kind, log in (logs | {"own": _own}).items():
            yield Case(name=f"{name}, {kind}", recipe=Recipe(make=adamw, rates=rates), log=log)
        if len(rates) == 2:
            sgd = Recipe(make=_sgd(momentum=0.9), rates=rates)
            yield Case(name=f"{name}, sgd", recipe=sgd, log=_trainer())
    for period in (4, 6, 8):
        saw = Recipe(make=adamw, rates=(sawtooth(1e-2, period),))
        for kind, log in {
            "state": _trainer(every=period),
            "alone": _trainer(every=period, optimizer=False),
        }.items():
            yield Case(name=f"sawtooth of {period}, {kind}", recipe=saw, log=log)
    for high, low in ((0.95, 0.85), (0.9, 0.5), (0.98, 0.8)):
        for marked in (True, False):
            cycled = cycles_momentum(low, high, N, marked=marked)
            for kind, make in (("adam", _adamw(betas=(high, 0.95))), ("sgd", _sgd(momentum=high))):
                recipe = Recipe(make=make, rates=(one_cycle(2e-2, N),), each_step=cycled)
                yield Case(name=f"one cycle {high} {low} {marked} {kind}", recipe=recipe, log=_trainer())
    fading = Recipe(
        make=_adamw(weight_decay=20.0), rates=(lambda t: 1e-2,), each_step=fading_decay(20, 0, N), pull=0.01
    )
    yield Case(name="decay that fades", recipe=fading, log=_trainer())
    for dtype in (torch.bfloat16, torch.float16):
        for rate in (1e-5, 1e-4, 1e-3):
            options = {"eps": 1e-4} if dtype is torch.float16 else {}
            recipe = Recipe(
                make=_adamw(**options), dtype=dtype, rates=(lambda t, rate=rate: rate,), n_steps=40
            )
            for kind, log in logs.items():
                yield Case(name=f"{dtype} {rate} saved as float32, {kind}", recipe=recipe, log=_silent(log))
    averaged = Recipe(make=adamw, dtype=torch.bfloat16, rates=(lambda t: 1e-5,), averaged="ema", n_steps=40)
    yield Case(name="averages of bfloat16", recipe=averaged, log=_silent(_trainer(optimizer=False)))
    yield Case(name="averages of bfloat16, table", recipe=averaged, log=_silent(_table()))
    for at in (8, 16, 20):
        again = Recipe(make=adamw, restarts=(at,), rates=(lambda t: 1e-2,))
        yield Case(name=f"resumed at {at} without its optimizer", recipe=again, log=_trainer())
        yield Case(name=f"resumed at {at}, counted again", recipe=again, log=_table(again_after=at))
    for kind, log in logs.items():
        yield Case(name=f"lora, {kind}", recipe=Recipe(make=adamw), log=_lora(log))


def cases() -> list[Case]:
    """Two hundred; several are logs of one run."""
    found = [
        Case(name=f"{name}, own", recipe=recipe, log=_own, proved=True) for name, recipe in ALONE.items()
    ]
    found += [
        Case(name=f"{name}, own in float32", recipe=ALONE[name], log=_own_in_float32, proved=True)
        for name in ("bfloat16", "bfloat16, decay", "master weights")
    ]
    for seed, (name, recipe) in enumerate(ALONE.items(), 1):
        other = replace(recipe, seed=seed)
        found += [
            Case(name=f"{name}, state", recipe=other, log=_trainer()),
            Case(name=f"{name}, state with gaps", recipe=other, log=_trainer(every=5)),
            Case(name=f"{name}, state of an older Trainer", recipe=other, log=_trainer(shifted=True)),
            Case(name=f"{name}, table", recipe=other, log=_table()),
        ]
    found += list(_odd())
    return found


def copy_of(recipe: Recipe, **changes: Any) -> Recipe:
    """The same but for these."""
    return replace(recipe, **changes)

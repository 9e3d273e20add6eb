"""Networks that keep something where the engine cannot see it, draw random numbers, or only look as if they did."""

import functools
import random
import warnings
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch
from tests.engine.nets import between
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrizations

D = 12


class Middle(nn.Module):
    """A layer between others; `change` makes of its output what the habit of the network makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(D, D)

    def forward(self, x: Tensor) -> Tensor:
        return self.change(self.linear(x), x)

    def change(self, y: Tensor, x: Tensor) -> Tensor:
        raise NotImplementedError


# What keeps something from call to call.


class WithBuffer(Middle):
    def __init__(self, n: int = D) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(n))


class WritesThroughData(WithBuffer):
    def change(self, y, x):
        self.total.data += y.mean(0)
        return y + self.total


class WritesThroughNumPy(WithBuffer):
    def change(self, y, x):
        self.total.numpy()[:] += 1
        return y + self.total


class WritesToALargeBuffer(WithBuffer):
    def __init__(self) -> None:
        super().__init__((1 << 22) + 8)

    def change(self, y, x):
        self.total.data[:D] += 1
        return y + self.total[:D]


class CountsInALargeBuffer(WritesToALargeBuffer):
    def change(self, y, x):
        self.total[:D] += 1
        return y + self.total[:D]


class NormalisesInTraining(Middle):
    """Its running statistics move, and another branch reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(D))
        self.register_buffer("var", torch.ones(D))

    def change(self, y, x):
        normal = F.batch_norm(y, self.mean, self.var, training=True)
        return normal + self.mean


class WritesToItsWeight(Middle):
    def change(self, y, x):
        self.linear.weight.data.mul_(0.9)
        return y


class Counts(Middle):
    n = 0

    def change(self, y, x):
        self.n += 1
        return y * self.n


class CountsOnAnObject(Middle):
    def __init__(self) -> None:
        super().__init__()
        self.state = SimpleNamespace(n=0)

    def change(self, y, x):
        self.state.n += 1
        return y + self.state.n


class RemembersInNestedLists(Middle):
    def __init__(self) -> None:
        super().__init__()
        self.memory = {"seen": [[]]}

    def change(self, y, x):
        self.memory["seen"][0].append(y.mean(0))
        return y + torch.stack(self.memory["seen"][0]).sum(0)


class WritesToATensorInAList(Middle):
    def __init__(self) -> None:
        super().__init__()
        self.cells = [torch.zeros(D)]

    def change(self, y, x):
        self.cells[0].add_(y.mean(0))
        return y + self.cells[0]


class CountsOnItsClass(Middle):
    n = 0

    def change(self, y, x):
        type(self).n += 1
        return y + type(self).n


COUNTER = {"n": 0}
LAST: Tensor | None = None


class CountsInAGlobal(Middle):
    def change(self, y, x):
        COUNTER["n"] += 1
        return y + COUNTER["n"]


class LeavesItsOutputInAGlobal(Middle):
    def change(self, y, x):
        global LAST
        before, LAST = LAST, y.mean(0)
        return y if before is None else y + before


CACHE: dict[object, object] = {}


@functools.cache
def kept_in_a_function(key: str) -> list[Tensor]:
    return []


class KeepsItsWeightInAGlobal(Middle):
    def change(self, y, x):
        return y @ CACHE.setdefault("weight", self.linear.weight.detach().clone()).T


class KeepsItsWeightInAFunction(Middle):
    def change(self, y, x):
        kept = kept_in_a_function("weight")
        if not kept:
            kept.append(self.linear.weight.detach().clone())
        return y @ kept[0].T


class KeepsWhatItSawFirstInAGlobal(Middle):
    def change(self, y, x):
        return y + CACHE.setdefault(y.shape, y.mean())


CACHES = (KeepsItsWeightInAGlobal, KeepsItsWeightInAFunction, KeepsWhatItSawFirstInAGlobal)


def forget_globals() -> None:
    global LAST
    LAST = None
    COUNTER["n"] = CountsOnItsClass.n = SwitchesLateInAGlobal.count.n = 0
    CACHE.clear()
    kept_in_a_function.cache_clear()


class AttendsToAMemory(Middle):
    """Keys and values of earlier rows, over which later ones attend."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = None

    def change(self, y, x):
        self.keys = y if self.keys is None else torch.cat([self.keys, y])
        return torch.softmax(y @ self.keys.T, -1) @ self.keys


class RemembersByContent(Middle):
    """What it once answered to a first number, it answers a second time with more."""

    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[float, Tensor] = {}

    def change(self, y, x):
        key = float(x[0, 0])
        if key in self.cache:
            return y + 1
        self.cache[key] = y
        return y


# What draws random numbers.


class DropsOut(Middle):
    def change(self, y, x):
        return F.dropout(y, 0.5, training=True)


class DrawsFromItsGenerator(Middle):
    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(1)

    def change(self, y, x):
        return y + torch.randn(y.shape, generator=self.generator)


class DrawsFromNumPys(Middle):
    def __init__(self) -> None:
        super().__init__()
        self.generator = np.random.default_rng(1)

    def change(self, y, x):
        return y + self.generator.random()


class DrawsFromPythons(Middle):
    def __init__(self) -> None:
        super().__init__()
        self.generator = random.Random(1)

    def change(self, y, x):
        return y + self.generator.random()


class DrawsFromNumPyItself(Middle):
    def change(self, y, x):
        return y + np.random.rand()


class DrawsFromPythonItself(Middle):
    def change(self, y, x):
        return y + random.random()


class DrawsFromTheSystem(Middle):
    def change(self, y, x):
        return y + random.SystemRandom().random()


GENERATOR = torch.Generator()


class DrawsFromAGlobalGenerator(Middle):
    def change(self, y, x):
        return y + torch.randn(y.shape, generator=GENERATOR)


class RefersToAWeight(Middle):
    """Through an object, where exchanged weights do not arrive: a plain copy has its own."""

    def __init__(self) -> None:
        super().__init__()
        self.note = SimpleNamespace(weight=self.linear.weight)

    def change(self, y, x):
        return y @ self.note.weight


class CannotBeCopied(Middle):
    """A stream of numbers that nothing can begin anew."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = iter(float(i) for i in range(10_000))

    def change(self, y, x):
        return y + next(self.numbers)


class DrawsInTunedOnly(Middle):
    """Base's rate is 0."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.zeros(1))
        self.generator = torch.Generator().manual_seed(1)

    def change(self, y, x):
        if float(self.rate) > 0:
            return y + torch.randn(y.shape, generator=self.generator)
        return y


ODD: dict[str, Callable[[], nn.Module]] = {
    kind.__name__: (lambda kind=kind: between(kind()))
    for kind in (
        WritesThroughData, WritesThroughNumPy, WritesToALargeBuffer, CountsInALargeBuffer, NormalisesInTraining,
        WritesToItsWeight, Counts, CountsOnAnObject, RemembersInNestedLists, WritesToATensorInAList,
        CountsOnItsClass, CountsInAGlobal, LeavesItsOutputInAGlobal, AttendsToAMemory, RemembersByContent,
        DropsOut, DrawsFromItsGenerator, DrawsFromNumPys, DrawsFromPythons, DrawsFromNumPyItself,
        DrawsFromPythonItself, DrawsFromTheSystem, DrawsFromAGlobalGenerator, RefersToAWeight, CannotBeCopied,
        DrawsInTunedOnly,
    )
}  # fmt: skip


# What changes after a while only: `late` calls after the first.


class SwitchesLate(Middle):
    late = 9

    def __init__(self) -> None:
        super().__init__()
        self.state = SimpleNamespace(n=0)

    def change(self, y, x):
        self.state.n += 1
        return y + 1 if self.state.n > self.late else y


class SwitchesLateInAGlobal(SwitchesLate):
    count = SimpleNamespace(n=0)

    def __init__(self) -> None:
        super().__init__()
        self.state = None

    def change(self, y, x):
        self.count.n += 1
        return y + 1 if self.count.n > self.late else y


class CountsLate(Middle):
    n = 0

    def change(self, y, x):
        self.n += 1
        return y + 1 if self.n > 9 else y


class DriftsSlowly(WithBuffer):
    """Nothing shows in the first calls."""

    def change(self, y, x):
        self.total.data += 1e-3
        return y + self.total.round(decimals=2)


class WritesToItsWeightLate(Middle):
    n = 0

    def change(self, y, x):
        self.n += 1
        if self.n > 9:
            self.linear.weight.data.mul_(0.9)
        return y


class DrawsLate(Middle):
    n = 0

    def change(self, y, x):
        self.n += 1
        return F.dropout(y, 0.5, training=self.n > 9)


LATE: dict[str, Callable[[], nn.Module]] = {
    kind.__name__: (lambda kind=kind: between(kind()))
    for kind in (
        SwitchesLate, SwitchesLateInAGlobal, CountsLate, DriftsSlowly, WritesToItsWeightLate, DrawsLate
    )
}  # fmt: skip


# What is exact and must not be accused.


class CountsForNothing(Middle):
    n = 0

    def change(self, y, x):
        self.n += 1
        return y


class DrawsForNothing(Middle):
    def change(self, y, x):
        torch.rand(3)
        random.random()
        np.random.rand()
        return y


class BuildsItsMaskLazily(Middle):
    mask = None

    def change(self, y, x):
        if self.mask is None:
            self.mask = torch.arange(D).float().cos()
        return y * self.mask


class CachesByLength(Middle):
    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[int, Tensor] = {}

    def change(self, y, x):
        if len(y) not in self.cache:
            self.cache[len(y)] = torch.arange(len(y)).cos()
        return y + self.cache[len(y)][:, None]


class Scratches(WithBuffer):
    """Writes to a buffer before it reads it."""

    def change(self, y, x):
        self.total.copy_(y[0])
        return y + self.total


class DropsNothing(Middle):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.0)

    def change(self, y, x):
        return F.dropout(self.drop(y), 0.0, training=True)


class Normalises(Middle):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(D), nn.Dropout(0.5)

    def change(self, y, x):
        return self.drop(self.norm(y))


def by_a_hook(name: str) -> nn.Module:
    """As PyTorch normalised weights before it had parametrizations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        normalised: nn.Module = getattr(nn.utils, name)(nn.Linear(D, D))
    return normalised


EXACT: dict[str, Callable[[], nn.Module]] = {
    **{
        kind.__name__: (lambda kind=kind: between(kind()))
        for kind in (
            CountsForNothing, DrawsForNothing, BuildsItsMaskLazily, CachesByLength, Scratches, DropsNothing,
            Normalises,
        )
    },
    "weight norm": lambda: between(parametrizations.weight_norm(nn.Linear(D, D))),
    "spectral norm": lambda: between(parametrizations.spectral_norm(nn.Linear(D, D))),
    "weight norm by a hook": lambda: between(by_a_hook("weight_norm")),
    "spectral norm by a hook": lambda: between(by_a_hook("spectral_norm")),
    "orthogonal": lambda: between(parametrizations.orthogonal(nn.Linear(D, D))),
}  # fmt: skip

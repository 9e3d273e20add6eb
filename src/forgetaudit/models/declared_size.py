"""A config is data, too: what it promises is compared with the bytes of the file before there is a network.

A config of a few bytes can ask for 200,000 layers. The library is not asked how many weights that makes: it is watched
while it builds. Every parameter, buffer and module that a network takes in is counted, and the building ends where
there is more than the file can be the weights of. Nothing has been filled by then, and next to nothing allocated.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as registration

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.errors import MismatchError
from forgetaudit.wording import counted

__all__ = ["Weights", "refuse_counts", "refusing_more"]

# Tied tensors are counted twice while a network is built, and some networks build a part and replace it.
_TIMES = 4
# A head that the file lacks is refused by its name later; this much of one costs nothing.
_SPARE_ELEMENTS = 1 << 20
# Masks and positions that no file holds: those of GPT-J take 117 MB.
_SPARE_BUFFER_BYTES = 1 << 28
_SPARE_MODULES = 10_000
_MODULES_A_TENSOR = 50
# What is counted has at least one element each. Positions are not among them: rotary ones have none.
_COUNTS = ("depth", "layers", "size", "dim", "channels", "width", "embed", "inner", "hidden", "stages")
_FIRST = ("num_", "n_")
_WHOLE = ("r", "rank")
_NO_COUNTS = ("position", "token_id", "image_size", "img_size", "input_size", "max_", "ctx")
_LEAST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much a file holds."""

    name: str
    n_tensors: int
    n_elements: int
    n_bytes: int

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Weights":
        """What `checkpoint` holds."""
        return cls(
            name=checkpoint.path.name,
            n_tensors=len(checkpoint.tensors),
            n_elements=sum(info.n_elements for info in checkpoint.tensors.values()),
            n_bytes=sum(info.n_bytes for info in checkpoint.tensors.values()),
        )


class _TooMuch(BaseException):
    """Past the `except Exception` of the libraries that build."""


class _Count:
    """What has been built so far; each place once, because a loader puts other tensors into the same places."""

    def __init__(self, file: Weights) -> None:
        self._file = file
        self._parameters: dict[tuple[int, str], int] = {}
        self._alive: list[nn.Module] = []
        self.n_elements = self.n_bytes = self.n_buffer_bytes = self.n_modules = 0

    def parameter(self, module: nn.Module, name: str, value: Tensor | None) -> None:
        if value is None or (id(module), name) in self._parameters:
            return
        self._keep(module, name)
        self.n_elements += value.numel()
        self.n_bytes += value.numel() * value.element_size()
        if self.n_elements > _TIMES * self._file.n_elements + _SPARE_ELEMENTS:
            raise _TooMuch(f"{self.n_bytes:,} bytes of parameters")

    def buffer(self, module: nn.Module, name: str, value: Tensor | None) -> None:
        if value is None or (id(module), name) in self._parameters:
            return
        self._keep(module, name)
        self.n_buffer_bytes += value.numel() * value.element_size()
        if self.n_buffer_bytes > _TIMES * self._file.n_bytes + _SPARE_BUFFER_BYTES:
            raise _TooMuch(f"{self.n_buffer_bytes:,} bytes of buffers")

    def module(self, _module: nn.Module, _name: str, _value: nn.Module | None) -> None:
        self.n_modules += 1
        if self.n_modules > _MODULES_A_TENSOR * self._file.n_tensors + _SPARE_MODULES:
            raise _TooMuch(counted(self.n_modules, "module"))

    def _keep(self, module: nn.Module, name: str) -> None:
        # An id stands for one module only while that module lives.
        self._parameters[id(module), name] = 1
        self._alive.append(module)


@contextmanager
def refusing_more(file: Weights, config: Mapping[str, Any], path: Path) -> Iterator[None]:
    """MismatchError where a network that is built inside is far larger than what `file` holds.

    `path` is the file that `config` was read from.
    """
    refuse_counts(file, config, path)
    count = _Count(file)
    hooks = [
        registration.register_module_parameter_registration_hook(count.parameter),
        registration.register_module_buffer_registration_hook(count.buffer),
        registration.register_module_module_registration_hook(count.module),
    ]
    try:
        yield
    except _TooMuch as found:
        raise _refusal(path, f"{found} and more", file, config) from None
    finally:
        for hook in hooks:
            hook.remove()


def refuse_counts(file: Weights, config: Mapping[str, Any], path: Path) -> None:
    """MismatchError for a number of layers, labels or channels that the file has not even one element each for.

    Libraries make lists of such numbers before they build anything.
    """
    most = max(file.n_elements, _LEAST)
    for key, value in _numbers(config):
        name = key.rpartition(".")[2].lower()
        if value > most and _is_count(name):
            raise _refusal(path, f"{key} {_shown(value)}", file, config)


def _is_count(name: str) -> bool:
    if any(part in name for part in _NO_COUNTS):
        return False
    return name in _WHOLE or name.startswith(_FIRST) or any(part in name for part in _COUNTS)


def _refusal(path: Path, promised: str, file: Weights, config: Mapping[str, Any]) -> MismatchError:
    largest = sorted(_numbers(config), key=lambda pair: -pair[1])[:3]
    return MismatchError(
        f"{path} promises {promised}, and {file.name} has {counted(file.n_bytes, 'byte')} of weights",
        details=[f"its largest numbers: {', '.join(f'{key} {_shown(value)}' for key, value in largest)}"]
        if largest
        else [],
        hint="restore the config that was saved with the weights",
    )


def _shown(value: float) -> str:
    """Also of a whole number that is too large for a float, or to be written out."""
    if isinstance(value, int):
        return f"{value:,}" if value.bit_length() < 64 else f"about 2^{value.bit_length()}"
    return f"{value:.15g}"


def _numbers(found: object, key: str = "") -> Iterator[tuple[str, float]]:
    """Numbers of a config with their keys, those in lists and tables too."""
    match found:
        case bool():
            return
        case int() | float() if found == found:
            yield key, found
        case dict():
            for name, value in found.items():
                yield from _numbers(value, f"{key}.{name}" if key else str(name))
        case list():
            for value in found[:1000]:
                yield from _numbers(value, key)
        case _:
            return

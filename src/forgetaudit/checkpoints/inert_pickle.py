"""A pickle read as the data it describes: nothing is imported, called or built but records of what it asks for.

The opcodes come from the standard library's disassembler, which only reads; what they mean is done here, for the few
that plain records need. Names of classes are checked against an allow-list and then kept as words.
"""

import pickletools
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from forgetaudit.errors import UnreadableCheckpoint, UnsafeCheckpoint

__all__ = ["Name", "Record", "read_inert"]

MAX_BYTES = 64 << 20
# Real metadata nest a dozen deep. What is deeper was made to exhaust the stack of whoever looks at it.
_MAX_DEPTH = 32

_VALUES = frozenset({
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
})  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function that the pickle names: `torch.Size`. It is not looked up."""

    text: str


@dataclass(slots=True, eq=False)
class Record:
    """What the pickle wants built: by which name, from which arguments, with which state. Mutable while it is read."""

    name: Name
    arguments: tuple[object, ...]
    state: dict[object, object] = field(default_factory=dict)


class _Mark:
    pass


def read_inert(data: bytes, allowed: Collection[str], path: Path) -> object:
    """What the pickle in `data` describes: numbers, texts, lists, tuples, dicts as pairs, and Records.

    UnsafeCheckpoint for a name that is not `allowed`; UnreadableCheckpoint for what is damaged or wants more than
    plain records.
    """
    if len(data) > MAX_BYTES:
        raise UnreadableCheckpoint(
            f"{path} has {len(data):,} bytes, more than an index needs", hint="save it again"
        )
    machine = _Machine(allowed, path)
    try:
        for opcode, argument, _ in pickletools.genops(data):
            machine.run(opcode.name, argument)
        return machine.result()
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise UnreadableCheckpoint(
            f"{path} is damaged: it is no pickle of plain records", hint="copy or download the folder again"
        ) from None


class _Machine:
    """The stack of a pickle, and what it remembers."""

    def __init__(self, allowed: Collection[str], path: Path) -> None:
        self._allowed, self._path = allowed, path
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}
        self._depths: dict[int, tuple[object, int]] = {}

    def result(self) -> object:
        (found,) = self._stack
        return found

    def run(self, opcode: str, argument: object) -> None:
        stack = self._stack
        match opcode:
            case _ if opcode in _VALUES:
                stack.append(argument)
            case _ if opcode in _CONSTANTS:
                stack.append(_CONSTANTS[opcode])
            case _ if opcode in _TUPLES:
                n = _TUPLES[opcode]
                self._push(tuple(self._popped(n)))
            case "TUPLE":
                self._push(tuple(self._marked()))
            case "EMPTY_LIST" | "EMPTY_DICT":
                stack.append([] if opcode == "EMPTY_LIST" else {})
            case "MARK":
                stack.append(_Mark())
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "BINPUT" | "LONG_BINPUT":
                self._memo[int(str(argument))] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._memo[int(str(argument))])
            case "APPEND" | "APPENDS":
                self._append(self._popped(1) if opcode == "APPEND" else self._marked())
            case "SETITEM" | "SETITEMS":
                self._set(self._popped(2) if opcode == "SETITEM" else self._marked())
            case "STACK_GLOBAL" | "GLOBAL":
                self._name(".".join(self._texts() if opcode == "STACK_GLOBAL" else str(argument).split(" ")))
            case "REDUCE" | "NEWOBJ":
                self._record()
            case "BUILD":
                self._build()
            case _ if opcode not in _IGNORED:
                raise UnsafeCheckpoint(
                    f"{self._path} is a pickle that does more than describe records ({opcode}); it was not loaded",
                    hint="do not use this folder unless you know who made it",
                )

    def _popped(self, n: int) -> list[object]:
        if n == 0:
            return []
        found = self._stack[-n:]
        if len(found) < n:
            raise ValueError
        del self._stack[-n:]
        return found

    def _marked(self) -> list[object]:
        place = max(at for at, item in enumerate(self._stack) if isinstance(item, _Mark))
        found = self._stack[place + 1 :]
        del self._stack[place:]
        return found

    def _texts(self) -> list[str]:
        module, name = self._popped(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError
        return [module, name]

    def _name(self, text: str) -> None:
        if text not in self._allowed:
            raise UnsafeCheckpoint(
                f"{self._path} names {text}, which loading would run or build; it was not loaded",
                hint="do not use this folder unless you know who made it",
            )
        self._stack.append(Name(text))

    def _record(self) -> None:
        name, arguments = self._popped(2)
        if not isinstance(name, Name) or not isinstance(arguments, tuple):
            raise TypeError
        self._push(Record(name, arguments))

    def _build(self) -> None:
        (state,) = self._popped(1)
        record = self._stack[-1]
        if not isinstance(record, Record) or not isinstance(state, dict | tuple):
            raise TypeError
        # Some classes keep a tuple of their own making.
        record.state.update(state if isinstance(state, dict) else {"": state})

    def _append(self, items: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise TypeError
        target += items

    def _set(self, items: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise TypeError
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Records are keys by identity; the hash of a deep tuple would go as deep as it is.
            if not isinstance(key, str | int | Record):
                raise TypeError
            target[key] = value

    def _push(self, item: "tuple[object, ...] | Record") -> None:
        inside = item if isinstance(item, tuple) else item.arguments
        depth = 1 + max((self._depth(one) for one in inside), default=0)
        if depth > _MAX_DEPTH:
            raise ValueError
        # Kept along with the item, so that its identity stays its own.
        self._depths[id(item)] = (item, depth)
        self._stack.append(item)

    def _depth(self, item: object) -> int:
        known = self._depths.get(id(item))
        return known[1] if known is not None and known[0] is item else 0

"""Options that commands share are the fields of a dataclass; in a command's signature one parameter stands for them."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from typing import Any, get_args

__all__ = ["Only", "Without", "expand_groups"]


class Without:
    """`Annotated[Running, Without("pool")]`: the options of Running but that one, which keeps its default."""

    def __init__(self, *names: str) -> None:
        self.names = frozenset(names)


class Only:
    """`Annotated[Gate, Only("max_drop")]`: that option of Gate; the others keep their defaults."""

    def __init__(self, *names: str) -> None:
        self.names = frozenset(names)


def expand_groups(command: Callable[..., None]) -> Callable[..., None]:
    """`command` as typer reads it: for every parameter that is a dataclass, the fields of it, in their order."""
    asked = inspect.signature(command).parameters.values()
    groups = {one.name: _Group.of(one.annotation) for one in asked if _is_group(one.annotation)}

    @wraps(command)
    def typed(**words: Any) -> None:
        whole = {name: group.filled(words) for name, group in groups.items()}
        command(**words, **whole)

    # Of keywords, those with a default may come first.
    spelled = (
        option.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for one in asked
        for option in (groups[one.name].options() if one.name in groups else [one])
    )
    vars(typed)["__signature__"] = inspect.Signature(list(spelled))
    return typed


def _is_group(annotation: Any) -> bool:
    return is_dataclass((*get_args(annotation), annotation)[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """A dataclass of options, and which of them a command has."""

    kind: type[Any]
    names: tuple[str, ...]

    @classmethod
    def of(cls, annotation: Any) -> "_Group":
        kind, *choices = get_args(annotation) or (annotation,)
        names = [field.name for field in fields(kind)]
        for choice in choices:
            if unknown := choice.names.difference(names):
                raise TypeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
            names = [name for name in names if (name in choice.names) is isinstance(choice, Only)]
        return cls(kind=kind, names=tuple(names))

    def options(self) -> Iterator[inspect.Parameter]:
        for field in fields(self.kind):
            if field.name in self.names:
                kind = inspect.Parameter.KEYWORD_ONLY
                yield inspect.Parameter(field.name, kind, default=field.default, annotation=field.type)

    def filled(self, words: dict[str, Any]) -> object:
        """The dataclass; its words are taken out of `words`."""
        return self.kind(**{name: words.pop(name) for name in self.names})

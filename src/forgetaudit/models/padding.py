"""By which token rows are filled up, and how many tokens a row may have: asked of the network that reads them.

A causal classifier finds the last token of a text as the rightmost one that is not `config.pad_token_id`, and never
looks at the mask; a RoBERTa counts positions from `padding_idx` + 1. So rows are padded with the network's own id.
"""

import inspect
import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Padding", "find_padding", "finds_ends_by_id", "positions_of"]

# What a full row may cost to be tried, in parameters times tokens: about a second on one core.
MOST_TRIED = 10**11


@dataclass(frozen=True, slots=True, kw_only=True)
class Padding:
    """The id that fills up rows, and how it came to be; `chosen` where the network's config names none.

    Text that ends in a chosen id would lose its last token to the padding.
    """

    id: int
    said: str
    chosen: bool


def find_padding(tokenizer: Any, model: nn.Module) -> Padding:
    """The id that the network knows padding by, else the tokenizer's; then the network's config is given it."""
    theirs = _number(tokenizer.pad_token_id)
    n_rows = _rows(model)
    known = next((n for n in map(_pad_of, _configs(model)) if n is not None and 0 <= n < n_rows), None)
    if known is not None:
        differs = theirs is not None and theirs != known
        said = f", padded with the id {known} of its config, not {theirs} of the tokenizer" if differs else ""
        return Padding(id=known, said=said, chosen=False)
    chosen = _chosen(tokenizer, theirs, n_rows)
    for config in _configs(model):
        config.pad_token_id = chosen
    token = tokenizer.convert_ids_to_tokens(chosen) if chosen < len(tokenizer) else None
    named = (
        "" if theirs == chosen else f", padded with {token or f'the id {chosen}, which stands for nothing'}"
    )
    return Padding(id=chosen, said=named, chosen=True)


def finds_ends_by_id(model: nn.Module) -> bool:
    """Whether the network's own forward looks for the end of a text by the id of padding, as causal classifiers do."""
    try:
        return "pad_token_id" in inspect.getsource(type(model).forward)
    except (OSError, TypeError):
        return False


def positions_of(model: nn.Module, longest: int, *, promised: bool = True) -> int:
    """The most tokens of a row, at most `longest`, that the network has positions for.

    A table of positions with a `padding_idx` counts from the one after it. What no table shows is tried, and what
    neither config nor tokenizer has `promised`: a row of full length is run, where the network is small enough and on
    a CPU, and halved until it is taken.
    """
    tables = list(_position_tables(model, longest))
    for table in tables:
        begin = getattr(table, "padding_idx", None)
        if isinstance(begin, int):
            longest = min(longest, len(table.weight) - begin - 1)
    return _tried(model, longest) if tables or not promised else longest


def _configs(model: nn.Module) -> list[Any]:
    whole: Any = getattr(model, "config", None)
    text = whole.get_text_config() if hasattr(whole, "get_text_config") else None
    return [one for one in (text, whole) if one is not None]


def _pad_of(config: Any) -> int | None:
    return _number(getattr(config, "pad_token_id", None))


def _number(found: object) -> int | None:
    return found if isinstance(found, int) else None


def _rows(model: nn.Module) -> int:
    find = getattr(model, "get_input_embeddings", None)
    weight = getattr(find() if callable(find) else None, "weight", None)
    return len(weight) if isinstance(weight, Tensor) else 1 << 62


def _chosen(tokenizer: Any, theirs: int | None, n_rows: int) -> int:
    """The tokenizer's id for padding or for an end, unless it also puts that at the end of texts; else a spare row.

    Where every row has its token, it is another special one, or the last: fewer texts end in it than in their end.
    """
    end, endings = _number(tokenizer.eos_token_id), _endings(tokenizer)
    used = set(tokenizer.get_vocab().values())
    spare = (number for number in range(len(used), min(n_rows, len(used) + 4096)) if number not in used)
    n_known = min(n_rows, len(used))
    candidates = (theirs, end, next(spare, None), *tokenizer.all_special_ids, n_known - 1, n_known - 2)
    return next((n for n in candidates if n is not None and n not in endings and 0 <= n < n_rows), 0)


def _endings(tokenizer: Any) -> set[int]:
    """What the tokenizer itself puts at the end of a text."""
    whole, plain = tokenizer("a")["input_ids"], tokenizer("a", add_special_tokens=False)["input_ids"]
    return {int(number) for number in whole[-1:]} if whole[-1:] != plain[-1:] else set()


def _position_tables(model: nn.Module, longest: int) -> list[Any]:
    """Embeddings of positions, by their name, of about as many rows as the network is said to have positions."""
    return [
        module
        for path, module in model.named_modules()
        if _POSITIONS.search(path.rpartition(".")[2])
        and isinstance(weight := getattr(module, "weight", None), Tensor)
        and weight.ndim == 2
        and len(weight) <= longest + _MOST_OFFSET
    ]


_POSITIONS = re.compile(r"pos|wpe", re.IGNORECASE)
# Tables have a few more rows than positions, which stand for padding.
_MOST_OFFSET = 16


@torch.no_grad()
def _tried(model: nn.Module, longest: int) -> int:
    parameter = next(model.parameters(), None)
    if parameter is None or parameter.device.type != "cpu":
        return longest  # an index beyond a table ends a CUDA process, and is no exception
    if sum(one.numel() for one in model.parameters()) * longest > MOST_TRIED:
        return longest
    if _takes(model, longest) or not _takes(model, 2):
        return longest
    low, high = 2, longest
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _takes(model, middle) else (low, middle)
    return low


def _takes(model: nn.Module, length: int) -> bool:
    """Whether a row of `length` tokens, none of which is padding, runs."""
    token = next(n for n in (1, 0) if n != _pad_of(_configs(model)[0]))
    row = torch.full((1, length), token)
    before = model.training
    try:
        model.eval()(input_ids=row, attention_mask=torch.ones_like(row))
    except Exception:  # networks refuse a length in many ways
        return False
    finally:
        model.train(before)
    return True

"""Whether two checkpoints are versions of one network, judged by their names and shapes."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from forgetaudit.errors import MismatchError, listing

__all__ = ["check_versions"]

Pairs = Sequence[tuple[str, str]]

# What holds a weight under another name where it is quantised: GPTQ and AWQ, compressed-tensors, MXFP4, HQQ.
_CODES = (".qweight", ".weight_packed", "_blocks", ".W_q")
_MIN_SHARED = 0.5
_MIN_BLOCK_TENSORS = 4
_MIN_FURTHER_TENSORS = 8


def check_versions(
    pairs: Pairs, reshaped: Pairs, only_base: Sequence[str], only_tuned: Sequence[str]
) -> None:
    """Raise MismatchError where too little is shared, or where one network has further blocks of the same make.

    Too little: fewer than half of the smaller side's tensors agree in name and shape. Further blocks (a deeper network
    of the same family) are at least 8 tensors in blocks built like the matched blocks beside them.
    """
    n_smaller = len(pairs) + len(reshaped) + min(len(only_base), len(only_tuned))
    further = _further_blocks(only_base, [base for base, _ in pairs])
    further += _further_blocks(only_tuned, [tuned for _, tuned in pairs])
    if pairs and len(pairs) >= _MIN_SHARED * n_smaller and not further:
        return
    details = [
        listing(label, names)
        for label, names in (
            ("only in base", only_base),
            ("only in tuned", only_tuned),
            ("in both with other shapes", [base for base, _ in reshaped]),
        )
        if names
    ]
    raise MismatchError(
        "base and tuned are not versions of one network", details=details, hint=_hint(only_base, only_tuned)
    )


def _hint(only_base: Sequence[str], only_tuned: Sequence[str]) -> str:
    if any(".lora_" in name for name in only_tuned) and only_base:
        return "tuned looks like a PEFT adapter: merge it into base first, with merge_and_unload()"
    if any(name.endswith(_CODES) for name in (*only_base, *only_tuned)):
        return "one of them is quantised: compare weights from before, or dequantise them (model.dequantize()) and save"
    return "pass the checkpoint you started from as BASE"


def _further_blocks(only: Sequence[str], matched: Sequence[str]) -> list[str]:
    """The names of `only` in numbered blocks with the same parts as two or more matched blocks beside them."""
    built = _blocks(matched)
    names: set[str] = set()
    for parent, blocks in _blocks(only).items():
        beside = [parts for parts in built.get(parent, {}).values() if len(parts) >= _MIN_BLOCK_TENSORS]
        for number, parts in blocks.items():
            if len(beside) >= 2 and parts in beside:
                names |= {f"{parent}{number}.{part}" for part in parts}
    return sorted(names) if len(names) >= _MIN_FURTHER_TENSORS else []


def _blocks(names: Iterable[str]) -> dict[str, dict[str, set[str]]]:
    """Parent ("layer1.") -> number ("0") -> the names inside ("conv1.weight", …)."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name in names:
        segments = name.split(".")
        for place, segment in enumerate(segments[:-1]):
            if segment.isdigit():
                parent = "".join(before + "." for before in segments[:place])
                found[parent][segment].add(".".join(segments[place + 1 :]))
    return found

"""Quantised weights, told by the names and types of their tensors: which tensors are codes, which belong to them.

A method either has a published rule by which codes become values (`dequantise.py`), or is named as what it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from forgetaudit.checkpoints.checkpoint import Checkpoint, TensorInfo
from forgetaudit.weights.decode import FLOATING

__all__ = ["Codes", "find_codes", "is_activation_scale"]

# What each method without a rule here keeps: the ending of the codes, those of what belongs to them, and its name.
_REFUSED = (
    (".qweight", (".qzeros", ".scales", ".g_idx"), "codes of GPTQ or AWQ"),
    (
        ".weight_packed",
        (".weight_scale", ".weight_zero_point", ".weight_shape", ".weight_g_idx", ".weight_global_scale"),
        "packed codes of compressed-tensors",
    ),
    ("_blocks", ("_scales",), "codes of MXFP4"),
    (".W_q", (".scale", ".zero", ".meta", ".shape", ".nbits", ".group_size", ".axis"), "codes of HQQ"),
    (".weight._data", (".weight._scale", ".weight._shift", ".weight._zeropoint"), "codes of quanto"),
    ("._weight_qdata", ("._weight_scale", "._weight_zero_point"), "codes of torchao"),
)
# Beside codes, the factors of activations: no weights.
_OF_ACTIVATIONS = (
    "input_scale", "output_scale", "activation_scale", "act_scale", ".k_scale", ".v_scale", ".q_scale",
    "input_global_scale", "input_scale_ub", "input_zero_point", "activation_scale_ub",
)  # fmt: skip
_STATE_4BIT = ".quant_state.bitsandbytes__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """One quantised weight: the tensor with its codes, and those that belong to it, by what they are.

    `rule` is the method where values can be had: "scaled", "bitsandbytes 4 bits" or "bitsandbytes 8 bits".
    """

    name: str
    method: str
    parts: Mapping[str, str]
    rule: str | None = None


def find_codes(checkpoint: Checkpoint) -> tuple[Codes, ...]:
    """Every quantised weight of the file."""
    tensors = checkpoint.tensors
    found = [code for name, info in tensors.items() if (code := _codes_for(name, info, tensors)) is not None]
    return tuple(found)


def is_activation_scale(name: str) -> bool:
    """Whether the tensor scales what flows through a quantised layer."""
    return name.endswith(_OF_ACTIVATIONS)


def _codes_for(name: str, info: TensorInfo, tensors: Mapping[str, TensorInfo]) -> Codes | None:
    return _refused(name, tensors) or _bitsandbytes(name, tensors) or _scaled(name, info, tensors)


def _refused(name: str, tensors: Mapping[str, TensorInfo]) -> Codes | None:
    for ending, others, method in _REFUSED:
        stem = name.removesuffix(ending)
        beside = {other: stem + other for other in others if stem + other in tensors}
        if stem != name and (beside or ending == ".qweight"):
            return Codes(name=name, method=method, parts=beside)
    return None


def _bitsandbytes(name: str, tensors: Mapping[str, TensorInfo]) -> Codes | None:
    state = next(
        (key for key in (f"{name}{_STATE_4BIT}{kind}" for kind in ("nf4", "fp4")) if key in tensors), None
    )
    if f"{name}.absmax" in tensors:
        parts = dict(_named(name, (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"), tensors))
        if state is not None:
            parts["state"] = state
        return Codes(
            name=name, method="codes of bitsandbytes, 4 bits", parts=parts, rule="bitsandbytes 4 bits"
        )
    stem = name.removesuffix("weight")
    if stem != name and f"{stem}SCB" in tensors:
        parts = {"SCB": f"{stem}SCB", **dict(_named(name, ("_format",), tensors))}
        return Codes(
            name=name, method="codes of bitsandbytes, 8 bits", parts=parts, rule="bitsandbytes 8 bits"
        )
    return None


def _named(
    name: str, endings: tuple[str, ...], tensors: Mapping[str, TensorInfo]
) -> Iterator[tuple[str, str]]:
    for ending in endings:
        if name + ending in tensors:
            yield ending.lstrip("._"), name + ending


def _scaled(name: str, info: TensorInfo, tensors: Mapping[str, TensorInfo]) -> Codes | None:
    """fp8 or int8 with factors beside it: DeepSeek, transformers' fine-grained fp8, compressed-tensors, ModelOpt."""
    if (
        not (info.dtype.startswith("float8") or info.dtype in ("int8", "uint8"))
        or info.dtype == "float8_e8m0fnu"
    ):
        return None
    stem, _, leaf = name.rpartition(".")
    # DeepSeek's own code calls the factors of `w1.weight` `w1.scale`.
    beside = f"{stem}.scale" if leaf == "weight" and stem else ""
    candidates = (f"{name}_scale_inv", f"{name}_scale", beside)
    scale = next((one for one in candidates if one in tensors and tensors[one].dtype in FLOATING), None)
    if scale is None:
        return None
    others = dict(_named(name, ("_scale_2", "_zero_point", "_shape", "_g_idx"), tensors))
    kind = "fp8" if info.dtype.startswith("float8") else info.dtype
    # Bytes in blocks are two values each: fp4 in int8 clothes.
    whole = tensors[scale].n_elements in (1, *info.shape[:1]) and scale == f"{name}_scale"
    plain = not others and (kind == "fp8" or (info.dtype == "int8" and whole))
    method = f"{kind} codes with scales" + (f" and {', '.join(others)}" if others else "")
    return Codes(name=name, method=method, parts={"scale": scale} | others, rule="scaled" if plain else None)

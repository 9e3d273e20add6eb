"""Quantised weights, told by the names and types of their tensors."""

from forgetaudit.checkpoints.checkpoint import Checkpoint
from forgetaudit.errors import ModelError, listing

__all__ = ["quantisation_of", "refuse_quantised"]

# What each method keeps beside a packed matrix.
_SUFFIXES = {
    ".qzeros": "GPTQ or AWQ",
    ".quant_map": "bitsandbytes, 4 bits",
    ".SCB": "bitsandbytes, 8 bits",
    ".weight_packed": "compressed-tensors",
    ".weight_scale_inv": "fp8 in blocks",
    ".weight_scale": "fp8",
}
# Several values to a byte.
_PACKED = ("float4_", "float6_")


def quantisation_of(checkpoint: Checkpoint) -> str | None:
    """The method, where the tensors show one."""
    for suffix, method in _SUFFIXES.items():
        if any(name.endswith(suffix) for name in checkpoint.tensors):
            return method
    packed = (info.dtype for info in checkpoint.tensors.values() if info.dtype.startswith(_PACKED))
    return next(packed, None)


def refuse_quantised(checkpoint: Checkpoint) -> None:
    """ModelError where the weights are packed integers or scaled bytes."""
    method = quantisation_of(checkpoint)
    if method is None:
        return
    packed = [
        name
        for name, info in checkpoint.tensors.items()
        if name.endswith(tuple(_SUFFIXES)) or info.dtype.startswith(_PACKED)
    ]
    raise ModelError(
        f"{checkpoint.path} holds quantised weights ({method}), which are not run",
        details=[listing("told by", packed), "their rounding would read as forgetting"],
        hint="pass the weights before they were quantised, or dequantise them: model.dequantize()",
    )

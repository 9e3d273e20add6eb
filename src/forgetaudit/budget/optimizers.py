"""Which optimizer it was: by the name that a log or a user has for it, or by what its file holds."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["BOUNDED", "UNBOUNDED", "named", "recognised", "why_unbounded"]

# As they are typed, and as they are told.
BOUNDED: Mapping[str, str] = {
    "adam": "Adam",
    "adamw": "AdamW",
    "adam or adamw": "Adam or AdamW",
    "sgd": "SGD",
    "signsgd": "signSGD",
    "lion": "Lion",
}
# Named, and answered: there is no bound on what they do.
UNBOUNDED = (
    "adafactor", "adamw8bit", "muon", "galore", "sm3", "shampoo", "schedulefree", "prodigy", "dadapt", "soap", "lamb",
    "lars",
)  # fmt: skip
_OTHER_NAMES = {
    "adamwtorch": "adamw", "adamwtorchfused": "adamw", "adamwtorchxla": "adamw", "adamwtorchnpufused": "adamw",
    "adamwhf": "adamw", "adamwapexfused": "adamw", "fusedadamw": "adamw",
}  # fmt: skip
# A small second average is stored as 0 beside a large one, and the step is then m/ε: as long as the gradient makes it.
_EIGHT_BITS = (
    "averages far below their block's largest are stored as 0, and a step is then as long as its gradient"
)

# Settings of a group that tell nothing of the optimizer: who computes, and where, and what a scheduler leaves there.
_COMMON = {
    "params", "param_names", "lr", "initial_lr", "weight_decay", "maximize", "foreach", "differentiable", "fused",
    "capturable", "name", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr", "lr_scale",
}  # fmt: skip
_ADAM = {"betas", "eps", "amsgrad", "decoupled_weight_decay"}
_SGD = {"momentum", "dampening", "nesterov"}
_LION = {"betas", "decoupled_weight_decay"}
_STATES = {
    "adam": {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
    "sgd": {"momentum_buffer"},
    "lion": {"exp_avg", "step"},
}
# A setting or a state that only this one has; the first that is found names it.
_MARKS: tuple[tuple[set[str], str], ...] = (
    ({"qmap1", "absmax1", "qmap2", "absmax2"}, "8-bit Adam"),
    ({"state1", "state2"}, "an optimizer of bitsandbytes"),
    ({"scale_type"}, "APOLLO"),
    ({"update_proj_gap", "proj_type", "projector"}, "GaLore"),
    ({"ns_steps", "ns_coefficients", "use_muon"}, "Muon"),
    ({"d_coef"}, "Prodigy"),
    ({"d0", "growth_rate", "d_numerator", "numerator_weighted"}, "D-Adaptation"),
    ({"weight_lr_power", "weight_sum"}, "a schedule-free optimizer"),
    ({"precondition_frequency", "max_precond_dim", "GG"}, "SOAP"),
    ({"inv_root_override", "preconditioner_config", "precond_0", "inv_precond_0", "shampoo"}, "Shampoo"),
    ({"accumulator_0"}, "SM3"),
    ({"trust_coefficient", "trust_coef"}, "LARS"),
    ({"trust_ratio", "trust_clip", "always_adapt", "grad_averaging"}, "LAMB"),
    ({"scale_parameter", "relative_step", "beta2_decay", "exp_avg_sq_row", "row_var"}, "Adafactor"),
    ({"momentum_decay", "mu_product"}, "NAdam"),
    ({"exp_inf"}, "Adamax"),
    ({"square_avg"}, "RMSprop"),
    ({"lr_decay"}, "Adagrad"),
    ({"caution"}, "a cautious optimizer"),
)


def named(name: str) -> str:
    """A key of BOUNDED where the name is one of its spellings, else the name itself."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower().rpartition(".")[2])
    plain = _OTHER_NAMES.get(plain, plain)
    return plain if plain in BOUNDED else _printable(name)


def _printable(text: str) -> str:
    """Half of a pair of surrogates, which JSON can hold, cannot be written to a report."""
    return text.encode("utf-8", "replace").decode("utf-8")


def why_unbounded(optimizer: str) -> str:
    """What stands in the report for one that is not in BOUNDED."""
    eight = "8bit" in re.sub(r"[^a-z0-9]", "", optimizer.lower())
    return f"no bound is known for {optimizer}" + (f": {_EIGHT_BITS}" if eight else "")


def recognised(groups: Iterable[Mapping[str, Any]], states: set[str]) -> str:
    """The optimizer whose options and state these are; its options in words where they are nobody's we know."""
    groups = list(groups)
    keys = {str(key) for group in groups for key in group} - _COMMON
    for marks, name in _MARKS:
        if marks & (keys | states):
            return name
    if {"betas", "eps", "amsgrad"} <= keys <= _ADAM and states <= _STATES["adam"]:
        # Older versions of torch do not say which of the two it is.
        said = {group.get("decoupled_weight_decay") is True for group in groups}
        sure = all(isinstance(group.get("decoupled_weight_decay"), bool) for group in groups)
        if len(said) > 1 or not sure:
            return "adam or adamw"
        return "adamw" if True in said else "adam"
    if {"momentum", "nesterov"} <= keys <= _SGD and states <= _STATES["sgd"]:
        return "sgd"
    if {"betas"} <= keys <= _LION and "exp_avg" in states <= _STATES["lion"]:
        return "lion"
    return f"the optimizer whose settings are {_printable(', '.join(sorted(keys)[:6])[:200]) or 'not in its file'}"

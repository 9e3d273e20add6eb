"""What a config.json of timm says: labels, how images are prepared, and in what two of them differ. No timm here."""

from collections.abc import Mapping
from typing import Any

from forgetaudit.models.config_differences import changed

__all__ = ["differences", "is_of_timm", "label_names", "n_classes", "pretrained_cfg"]

# Told elsewhere: by the labels, or by the shapes of the weights.
_TOLD_BY_SHAPES = {"num_classes", "in_chans", "global_pool"}


def is_of_timm(config: Mapping[str, Any]) -> bool:
    """Whether timm wrote it: an architecture, and a pretrained_cfg or, before timm 0.9, what is in it beside it."""
    if not isinstance(config.get("architecture"), str):
        return False
    if "pretrained_cfg" in config:
        return isinstance(config["pretrained_cfg"], dict)
    return "model_type" not in config and "input_size" in config


def pretrained_cfg(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part about inputs and labels."""
    found = config.get("pretrained_cfg")
    return found if isinstance(found, dict) else config


def n_classes(config: Mapping[str, Any]) -> int | None:
    """How many scores the network gives; 0 for one without a classifier, None where nothing says."""
    found = config.get("num_classes", pretrained_cfg(config).get("num_classes"))
    return found if isinstance(found, int) else None


def label_names(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The labels in the order of the scores; None where there are none but placeholders, or an id has none.

    timm writes them beside pretrained_cfg, and inside it when it saves again what it has loaded. transformers,
    which can wrap a model of timm, writes LABEL_0, LABEL_1 where it does not find them.
    """
    places = (config.get("label_names"), pretrained_cfg(config).get("label_names"), config.get("labels"))
    return next(filter(None, map(_names, places)), None)


def _names(found: object) -> tuple[str, ...] | None:
    if isinstance(found, dict):
        found = [found.get(str(index)) for index in range(len(found))]
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        return None
    return None if all(name == f"LABEL_{index}" for index, name in enumerate(found)) else tuple(found)


def differences(
    base: Mapping[str, Any], tuned: Mapping[str, Any], inputs: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> tuple[str, ...]:
    """Sentences on what tuned's config says otherwise; base's is used for both.

    `inputs` are what timm makes of the two pretrained_cfg, its defaults filled in.
    """
    notes = []
    if isinstance(named := tuned.get("architecture"), str) and named != base["architecture"]:
        notes.append(f"its config names {named}; it was loaded as base's {base['architecture']}")
    if told := changed(*inputs, without=set()):
        notes.append(f"its preprocessing differs: {told}; base's was used for both")
    if told := _other_arguments(base, tuned):
        notes.append(f"its model_args differ: {told}; base's were used for both")
    return tuple(notes)


def _other_arguments(base: Mapping[str, Any], tuned: Mapping[str, Any]) -> str:
    """Those of one side only, too: what is left out has the default of the architecture."""
    if not isinstance(base.get("model_args"), dict) or not isinstance(tuned.get("model_args"), dict):
        return ""
    one, two = dict(base["model_args"]), dict(tuned["model_args"])
    for key in ({*one} ^ {*two}) - _TOLD_BY_SHAPES:
        one.setdefault(key, "unset")
        two.setdefault(key, "unset")
    return changed(one, two, without={"num_classes", "in_chans"})

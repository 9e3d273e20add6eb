"""What the files beside a checkpoint say about its network, read without torch and without running code."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forgetaudit.errors import ModelError
from forgetaudit.models import timm_config
from forgetaudit.models.sentence_files import SentenceFiles, read_sentence_files, sentence_root
from forgetaudit.models.sidecars import folder_of, read_sidecar

__all__ = ["Evidence", "find_evidence", "is_adapter"]

_OWN_CODE = (
    "pass --model path.py:callable, a function that returns the network, or set model in forgetaudit.toml"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Which library builds the network, and by what name of its own; `sentence` is what is printed.

    `config` is the JSON object that says so, in `folder`. `class_names` are the labels in the model's order, None
    where it has none or only placeholders. `sentences` says how an encoder's tokens become one embedding a text, None
    where it is no part of a sentence-transformers folder.
    """

    library: str
    model: str
    sentence: str
    folder: Path
    config: Mapping[str, Any]
    sentences: SentenceFiles | None = None

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes, in the order of the scores."""
        if self.library == "timm":
            return timm_config.label_names(self.config)
        return label_names(self.config)

    @property
    def other_kind(self) -> str | None:
        """Where the config itself says that a classifier chooses no single label: what it does instead.

        As transformers decides it: by problem_type, and without one by a single label.
        """
        if self.library == "timm":
            has_none = timm_config.n_classes(self.config) == 0
            return "features without a classifier (num_classes 0)" if has_none else None
        if not self.model.endswith(("ForSequenceClassification", "ForImageClassification")):
            return None
        match self.config.get("problem_type"):
            case "regression":
                return "regression (problem_type in its config)"
            case "multi_label_classification":
                return "multi-label classification (problem_type in its config)"
        labels = self.config.get("id2label")
        n_labels = len(labels) if isinstance(labels, dict) else self.config.get("num_labels")
        return "one score for each input, regression or ranking (num_labels 1)" if n_labels == 1 else None

    @property
    def wants_code(self) -> bool:
        """The config names Python files of its own folder or of the Hub."""
        return bool(self.config.get("auto_map"))


def is_adapter(path: Path) -> bool:
    """Whether `path` is a PEFT adapter, or a file of one."""
    return (folder_of(path) / "adapter_config.json").is_file() and not _has_own_weights(path)


_WHOLE = ("model.safetensors", "pytorch_model.bin")


def _has_own_weights(path: Path) -> bool:
    """A file that is not the adapter's own, or a folder that holds a whole model, too."""
    if path.is_dir():
        return any((path / f"{name}{index}").exists() for name in _WHOLE for index in ("", ".index.json"))
    return not path.name.startswith("adapter_model.")


def find_evidence(path: Path) -> Evidence:
    """What the files beside the weights at `path` say. ModelError where they say nothing, or what cannot be built."""
    folder = folder_of(path)
    _refuse_pipelines(folder)
    if (root := sentence_root(folder)) is not None:
        return _sentences_evidence(root)
    config = read_sidecar(folder, "config.json")
    if config is None:
        raise ModelError(
            f"nothing says which network {path.name} belongs to",
            details=[f"there is no config.json in {folder}"],
            hint=_OWN_CODE,
        )
    _refuse_by_name(folder, config)
    if timm_config.is_of_timm(config):
        return _evidence("timm", config["architecture"], "architecture", folder, config)
    named = config.get("architectures")
    if isinstance(named, list) and named and isinstance(named[0], str):
        return _evidence("transformers", named[0], "architectures", folder, config)
    raise ModelError(
        f"{folder / 'config.json'} names no network",
        details=["it has neither architectures (transformers) nor architecture and pretrained_cfg (timm)"],
        hint=_OWN_CODE,
    )


def label_names(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """id2label in the order of the ids; None where it is missing, has gaps, or holds only LABEL_0, LABEL_1."""
    found = config.get("id2label")
    if not isinstance(found, dict) or not found:
        return None
    names = [found.get(str(index), found.get(index)) for index in range(len(found))]
    if any(not isinstance(name, str) for name in names):
        return None
    if all(name == f"LABEL_{index}" for index, name in enumerate(names)):
        return None
    return tuple(str(name) for name in names)


def _evidence(library: str, model: str, key: str, folder: Path, config: Mapping[str, Any]) -> Evidence:
    return Evidence(
        library=library,
        model=model,
        sentence=f"{key} in {folder.resolve().name}/config.json, built by {library}",
        folder=folder,
        config=config,
    )


def _sentences_evidence(root: Path) -> Evidence:
    files = read_sentence_files(root)
    config = read_sidecar(files.encoder, "config.json") or {}
    _refuse_by_name(files.encoder, config)
    named = config.get("architectures")
    model = named[0] if isinstance(named, list) and named else config.get("model_type")
    if not isinstance(model, str):
        raise ModelError(
            f"nothing says which encoder {root} holds",
            details=[f"no config.json in {files.encoder} names it"],
            hint=_OWN_CODE,
        )
    return Evidence(
        library="transformers",
        model=model,
        sentence=f"modules.json in {root.resolve().name}, encoder built by transformers",
        folder=files.encoder,
        config=config,
        sentences=files,
    )


def _refuse_pipelines(folder: Path) -> None:
    # Before config.json, which these folders have, too: it speaks of a part only.
    if (folder / "model_index.json").is_file():
        raise ModelError(
            f"{folder} is a diffusers model (model_index.json), which forgetaudit does not build",
            details=["the weights alone can be compared: leave out --data"],
            hint=_OWN_CODE,
        )


def _refuse_by_name(folder: Path, config: Mapping[str, Any]) -> None:
    if "_class_name" in config:
        raise ModelError(
            f"{folder} is a diffusers model ({config['_class_name']}), which forgetaudit does not build",
            details=["the weights alone can be compared: leave out --data"],
            hint=_OWN_CODE,
        )
    quantised = config.get("quantization_config")
    if quantised is not None:
        method = quantised.get("quant_method", "unknown") if isinstance(quantised, dict) else "unknown"
        raise ModelError(
            f"{folder} holds quantised weights ({method}), which are not run",
            details=["their rounding would read as forgetting"],
            hint="pass the weights before they were quantised, or dequantise them: model.dequantize()",
        )

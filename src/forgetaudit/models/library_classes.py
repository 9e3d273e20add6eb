"""What transformers has to build a network from: the class that config.json names, its config, what it is for."""

import contextlib
import copy
import importlib
import re
from typing import Any

from forgetaudit.errors import MismatchError, ModelError
from forgetaudit.models.evidence import Evidence
from forgetaudit.models.extras import import_extra
from forgetaudit.models.odd_files import first_line
from forgetaudit.models.silence_transformers import quiet_transformers
from forgetaudit.models.torchvision_repair import import_torchvision

__all__ = ["model_class", "network_config", "task_of", "translated"]


def model_class(evidence: Evidence, *, trust_remote_code: bool) -> Any:
    """The class of the library, or with `trust_remote_code` that of the checkpoint. ModelError where there is none."""
    # One that is installed and broken takes the library's image models with it; what else ails it, the library says.
    with contextlib.suppress(Exception):
        import_torchvision()
    transformers: Any = import_extra("transformers", needed_for=f"{evidence.folder.name} ({evidence.model})")
    try:
        found = getattr(transformers, evidence.model, None)
    except (ImportError, RuntimeError) as error:
        raise translated(f"{evidence.model} cannot be imported", error) from error
    if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
        return found
    if evidence.wants_code and trust_remote_code:
        return _class_of_its_own(evidence)
    if evidence.wants_code:
        raise ModelError(
            f"{evidence.folder} asks to run Python code of its own ({evidence.model}), which was not run",
            details=[f"auto_map: {', '.join(str(value) for value in evidence.config['auto_map'].values())}"]
            if isinstance(evidence.config["auto_map"], dict)
            else [],
            hint="read that code; where you trust it, pass --trust-remote-code",
        )
    raise ModelError(
        f"transformers {transformers.__version__} has no model {evidence.model}",
        details=[f"named by {evidence.folder / 'config.json'}"],
        hint="install the version that the checkpoint was saved with, or pass --model path.py:callable",
    )


def _class_of_its_own(evidence: Evidence) -> Any:
    modules: Any = importlib.import_module("transformers.dynamic_module_utils")
    references = [
        reference
        for reference in dict(evidence.config["auto_map"]).values()
        if isinstance(reference, str) and reference.rpartition(".")[2] == evidence.model
    ]
    if not references:
        raise ModelError(
            f"{evidence.folder / 'config.json'} does not say where {evidence.model} is defined",
            hint="pass --model path.py:callable",
        )
    try:
        return modules.get_class_from_dynamic_module(
            references[0], str(evidence.folder), local_files_only=True
        )
    except Exception as error:
        raise translated(f"the code of {evidence.folder} cannot be run", error) from error


# By the library's own lists of which class is for what.
_TASKS = {
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES": "causal-lm",
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES": "masked-lm",
    "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES": "classification",
    "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES": "classification",
    "MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES": "embedding",
    "MODEL_MAPPING_NAMES": "embedding",
}
# Also in the list of masked language models, or of bare ones, some of them; they are asked what follows on an input.
_FIRST = ("MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",)
_LAST = ("MODEL_FOR_PRETRAINING_MAPPING_NAMES", "MODEL_FOR_BACKBONE_MAPPING_NAMES")


def task_of(class_name: str) -> str | None:
    """What a class of the library answers, by the first list it stands in; None for code of the checkpoint's own.

    A task of ours, or the kind in the words of the library's list: `token classification`.
    """
    lists = vars(importlib.import_module("transformers.models.auto.modeling_auto"))
    others = [name for name in lists if re.fullmatch(r"MODEL_FOR_\w+_MAPPING_NAMES", name)]
    for name in (*_FIRST, *_TASKS, *(name for name in others if name not in _LAST), *_LAST):
        for names in dict(lists.get(name, {})).values():
            if class_name in ((names,) if isinstance(names, str) else names):
                return _TASKS.get(name) or _words(name)
    return None


def _words(name: str) -> str:
    """`MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES` -> `token classification`."""
    words = name.removeprefix("MODEL_FOR_").removesuffix("_MAPPING_NAMES").replace("_", " ").lower()
    return _FIELD.get(words, words)


_FIELD = {
    "seq to seq causal lm": "sequence-to-sequence generation (encoder and decoder)",
    "speech seq 2 seq": "speech recognition",
    "ctc": "speech recognition",
    "backbone": "features",
}


def network_config(model_class: Any, evidence: Evidence) -> Any:
    """The config as the class reads it. MismatchError where it is of another kind, ModelError where it is none."""
    kind, wanted = evidence.config.get("model_type"), model_class.config_class.model_type
    if kind is not None and wanted and kind != wanted:
        raise MismatchError(
            f"{evidence.folder / 'config.json'} contradicts itself: {evidence.model} is of {wanted}, not {kind}",
            hint="restore the config that was saved with the weights",
        )
    try:
        with quiet_transformers():
            return model_class.config_class.from_dict(dict(evidence.config))
    except Exception as error:
        raise translated(
            f"{evidence.folder / 'config.json'} is no config of {evidence.model}", error
        ) from error


def tied_as(config: Any, other: Any) -> Any:
    """A copy of `config` that ties the tensors that `other`, of the same class, ties; parts of both included."""
    made = copy.deepcopy(config)
    for mine, theirs in zip(_with_parts(made), _with_parts(other), strict=True):
        if mine is not None and hasattr(theirs, "tie_word_embeddings"):
            mine.tie_word_embeddings = theirs.tie_word_embeddings
    return made


def _with_parts(config: Any) -> list[Any]:
    return [config, *(getattr(config, name, None) for name in getattr(config, "sub_configs", ()))]


def translated(fact: str, error: Exception) -> ModelError:
    """What the library raised, as a note to a person."""
    return ModelError(
        fact,
        details=[first_line(error)],
        hint="forgetaudit doctor says what is installed and what is broken",
    )

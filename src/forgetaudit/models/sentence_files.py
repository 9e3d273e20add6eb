"""A sentence-transformers folder: how its files say that texts become embeddings. Data, nothing of it is run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from forgetaudit.checkpoints.sentence_modules import MODULES, Module, read_modules
from forgetaudit.errors import ModelError
from forgetaudit.models.odd_files import refused_in_words
from forgetaudit.models.sidecars import read_sidecar
from forgetaudit.wording import some

__all__ = ["POOLING_MODES", "SentenceFiles", "read_sentence_files", "sentence_root"]

# In the order in which several are joined; the keys are those of releases before 5.5.
POOLING_MODES = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
_BUILT = ("Transformer", "Pooling", "Normalize")
_HINT = "the weights of its encoder can be compared: leave out --data; or pass --model path.py:callable"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceFiles:
    """What the folder `root` says; its encoder's files are in `encoder`.

    `modes` of pooling, joined in their order; `normalised` embeddings have length 1. `longest` is the most tokens of
    a text, None where nothing says. `query_prompt` and `document_prompt` stand before texts by default, `prompts`
    are all that it knows.
    """

    root: Path
    encoder: Path
    modes: tuple[str, ...]
    normalised: bool
    similarity: Literal["cosine", "dot"]
    longest: int | None
    lower_case: bool
    prompts: Mapping[str, str]
    query_prompt: str
    document_prompt: str

    @property
    def sentence(self) -> str:
        """`mean of tokens, normalised`: from tokens to embedding."""
        return f"{' and '.join(self.modes)} of tokens" + (", normalised" if self.normalised else "")


def sentence_root(folder: Path) -> Path | None:
    """The folder whose modules.json speaks of the encoder in `folder`: itself, or the one around it."""
    for root in (folder, folder.parent):
        if any(module.folder.resolve() == folder.resolve() for module in read_modules(root)):
            return root
        if root == folder and read_modules(root):
            return root
    return None


def read_sentence_files(root: Path) -> SentenceFiles:
    """ModelError naming the modules, poolings and similarities that are not built here."""
    with refused_in_words(f"the files of {root} do not say how texts become embeddings"):
        return _read(root)


def _read(root: Path) -> SentenceFiles:
    modules = read_modules(root)
    _refuse_other_modules(root, modules)
    encoder = modules[0].folder
    settings = _settings(encoder)
    general = read_sidecar(root, "config_sentence_transformers.json") or {}
    prompts = {str(name): str(text) for name, text in dict(general.get("prompts") or {}).items() if text}
    query, document = _default_prompts(prompts, general.get("default_prompt_name"))
    pooling = read_sidecar(modules[1].folder, "config.json")
    return SentenceFiles(
        root=root,
        encoder=encoder,
        modes=_modes(modules[1].folder, pooling or {}, prompted=bool(query or document)),
        normalised=len(modules) == 3,
        similarity=_similarity(root, general),
        longest=_whole_number(settings.get("max_seq_length")),
        lower_case=bool(settings.get("do_lower_case")),
        prompts=prompts,
        query_prompt=query,
        document_prompt=document,
    )


def _refuse_other_modules(root: Path, modules: tuple[Module, ...]) -> None:
    kinds = [module.kind for module in modules]
    other = [kind for kind in kinds if kind not in _BUILT]
    if other:
        raise ModelError(
            f"{root} is a sentence-transformers model with {some(other, 6)}, which forgetaudit does not build",
            details=[f"{MODULES}: {some(kinds, 6)}", f"built here: {', '.join(_BUILT)}"],
            hint=_HINT,
        )
    if tuple(kinds) not in (_BUILT[:2], _BUILT):
        raise ModelError(
            f"{root} is a sentence-transformers model of {some(kinds, 6) or 'no modules'}",
            details=["an encoder is followed by one pooling, and perhaps by a normalisation"],
            hint=_HINT,
        )


def _settings(encoder: Path) -> Mapping[str, Any]:
    """`max_seq_length` and more; each kind of encoder had a file of its own once."""
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"):
        found = read_sidecar(encoder, f"sentence_{kind}_config.json")
        if found is not None:
            return found
    return {}


def _modes(folder: Path, config: Mapping[str, Any], *, prompted: bool) -> tuple[str, ...]:
    named = config.get("pooling_mode")
    found = [named] if isinstance(named, str) else named
    if not isinstance(found, list):
        found = [mode for mode, key in POOLING_MODES.items() if config.get(key)] or ["mean"]
    strange = [str(mode) for mode in found if mode not in POOLING_MODES]
    if strange or not found:
        raise ModelError(
            f"{folder} asks for a pooling that is not known: {some(strange, 6) or 'none'}",
            details=[f"known: {', '.join(POOLING_MODES)}"],
            hint=_HINT,
        )
    if prompted and config.get("include_prompt") is False:
        raise ModelError(
            f"{folder} leaves the tokens of the prompt out of the pooling, which is not built here",
            hint=_HINT,
        )
    return tuple(found)


def _default_prompts(prompts: Mapping[str, str], default: object) -> tuple[str, str]:
    """What stands before queries and before documents. One called `query` is for queries alone, any other for all."""
    text = prompts.get(default, "") if isinstance(default, str) else ""
    if default == "query":
        return text, ""
    return ("", text) if default in ("document", "passage", "corpus") else (text, text)


def _similarity(root: Path, general: Mapping[str, Any]) -> Literal["cosine", "dot"]:
    match general.get("similarity_fn_name"):
        case None | "cosine":
            return "cosine"
        case "dot" | "dot_score":
            return "dot"
        case other:
            raise ModelError(
                f"{root} compares embeddings by {other}, which is not built here",
                details=["built here: cosine, dot"],
                hint=_HINT,
            )


def _whole_number(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None

"""From tokens to one embedding a text, as sentence-transformers does it: its package is not needed.

Axes: n texts, t tokens, d dimensions. After Pooling and Normalize of sentence-transformers 6.2 (Reimers and Gurevych
2019, arXiv 1908.10084, section 3).
"""

import contextlib
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from forgetaudit.models.evidence import Evidence
from forgetaudit.models.extras import import_extra
from forgetaudit.models.sentence_files import SentenceFiles, read_sentence_files, sentence_root
from forgetaudit.models.sidecars import folder_of
from forgetaudit.models.torchvision_repair import import_torchvision

__all__ = ["Sentences", "is_of_pooler", "sentence_differences", "without_head", "without_pooler"]


class Sentences:
    """What stands between a text and its embedding besides the network, as `files` say.

    `query_prompt` and `document_prompt` are put before texts; `similarity` is `cosine` or `dot`.
    """

    def __init__(self, files: SentenceFiles) -> None:
        self.query_prompt = files.query_prompt
        self.document_prompt = files.document_prompt
        self.similarity: str = files.similarity
        self.said = (f"embeddings: {files.sentence}, by modules.json", *_prompt_notes(files))
        self._modes, self._normalised = files.modes, files.normalised

    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Of hidden (n, t, d) under mask (n, t), 1 for real tokens -> (n, d) float32, or (n, k·d) of k poolings."""
        parts = [POOLINGS[mode](hidden.float(), mask) for mode in self._modes]
        pooled = torch.cat(parts, dim=1)
        return torch.nn.functional.normalize(pooled, dim=1) if self._normalised else pooled


def _cls(hidden: Tensor, mask: Tensor) -> Tensor:
    return _at(hidden, mask.int().argmax(dim=1))


def _last(hidden: Tensor, mask: Tensor) -> Tensor:
    return _at(hidden, mask.shape[1] - 1 - mask.int().flip(1).argmax(dim=1))


def _at(hidden: Tensor, place: Tensor) -> Tensor:
    """The token at place (n,) of each text."""
    return hidden[torch.arange(len(hidden), device=hidden.device), place]


def _max(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden.masked_fill(mask[:, :, None] == 0, -torch.inf).amax(dim=1)


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    return _weighted(hidden, mask.float())


def _mean_sqrt(hidden: Tensor, mask: Tensor) -> Tensor:
    return _mean(hidden, mask) * mask.sum(dim=1, keepdim=True).sqrt()


def _weighted_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Later tokens weigh more: 1, 2, 3, … from the first real one on (Muennighoff 2022, arXiv 2202.08904)."""
    return _weighted(hidden, mask.cumsum(dim=1) * mask.float())


def _weighted(hidden: Tensor, weights: Tensor) -> Tensor:
    total = (hidden * weights[:, :, None]).sum(dim=1)
    return total / weights.sum(dim=1, keepdim=True).clamp(min=1e-9)


POOLINGS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cls": _cls,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}


def without_head(evidence: Evidence) -> Evidence:
    """The same with the class that has no head: a folder of embeddings may name the one that its encoder grew up under.

    `…EncoderModel` (T5) is kept: the library's own choice there would want a decoder's input.
    """
    if evidence.sentences is None or evidence.model.endswith("EncoderModel"):
        return evidence
    # One that is installed and broken would take the library's lists with it.
    with contextlib.suppress(Exception):
        import_torchvision()
    import_extra("transformers", needed_for=f"{evidence.folder.name} ({evidence.model})")
    lists: Any = importlib.import_module("transformers.models.auto.modeling_auto")
    found = lists.MODEL_MAPPING_NAMES.get(evidence.config.get("model_type"), evidence.model)
    names = (found,) if isinstance(found, str) else tuple(found)
    return evidence if evidence.model in names else replace(evidence, model=names[0])


def without_pooler(model_class: type) -> dict[str, Any]:
    """The arguments that keep BERT's pooler out: no embedding is read from it, and many files have none."""
    takes = inspect.signature(model_class.__init__).parameters  # type: ignore[misc]
    return {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}


def is_of_pooler(name: str) -> bool:
    """Whether a tensor of this name belongs to a pooler."""
    return "pooler" in name.split(".")


def sentence_differences(base: SentenceFiles, tuned: Path) -> tuple[str, ...]:
    """Sentences on what the folder around the weights `tuned` says otherwise; base's is used for both."""
    root = sentence_root(folder_of(tuned))
    if root is None or root.resolve() == base.root.resolve():
        return ()
    other = read_sentence_files(root)
    told = [
        f"{what} {getattr(base, key)!r:.60} → {getattr(other, key)!r:.60}"
        for key, what in _COMPARED.items()
        if getattr(base, key) != getattr(other, key)
    ]
    return (f"its embeddings differ: {', '.join(told)}; base's way was used for both",) if told else ()


_COMPARED = {
    "sentence": "pooling",
    "similarity": "similarity",
    "longest": "longest text",
    "lower_case": "lower case",
    "query_prompt": "prompt of queries",
    "document_prompt": "prompt of documents",
}


def _prompt_notes(files: SentenceFiles) -> tuple[str, ...]:
    put = {"queries": files.query_prompt, "documents": files.document_prompt}
    told = [f"{text!r} was put before {what}" for what, text in put.items() if text]
    idle = [name for name, text in files.prompts.items() if text not in put.values()]
    if idle:
        told.append(f"not used, because not its default: {', '.join(idle)}")
    return (f"prompts: {'; '.join(told)}",) if told else ()

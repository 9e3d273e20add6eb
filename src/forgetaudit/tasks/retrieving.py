"""Retrieval made from what the data hold: pairs of texts, and perhaps labels that say which belong together."""

import re

from forgetaudit.errors import DataError, listing
from forgetaudit.tasks.embedding import Embedding
from forgetaudit.tasks.task import Setting

__all__ = ["embedding"]

# How public data sets of pairs call those that belong together: GLUE, SNLI, Quora, relevance judgements.
TOGETHER = {
    "1", "true", "yes", "positive", "relevant", "match", "duplicate", "isduplicate", "equivalent", "paraphrase",
    "entailment", "similar", "related", "correct",
}  # fmt: skip


def embedding(setting: Setting) -> Embedding:
    """DataError where the data are no pairs of texts, the model reads none, or labels do not tell right from wrong."""
    if not setting.of_text:
        raise DataError(
            f"{setting.data} holds images or arrays, and {setting.model} is asked for embeddings of text",
            hint="pass pairs of texts, a query and its document; for images --task classification needs a classifier",
        )
    if setting.encode is None:
        raise DataError(
            f"{setting.data} holds text, and {setting.model} reads none",
            hint="pass a text encoder that was saved with its tokenizer",
        )
    positives, said = _positives(setting) if setting.labelled else (None, "every pair belongs together")
    return Embedding(setting.encode, setting.sentences, positives=positives, said=(said,))


def _positives(setting: Setting) -> tuple[frozenset[int], str]:
    """The labels of pairs that belong together, and on what evidence."""
    names, present = setting.class_names, setting.labels_present
    if names is None:
        found, known = frozenset({1}), present <= {0, 1}
        told = [str(label) for label in sorted(present)]
    else:
        found = frozenset(place for place, name in enumerate(names) if _plain(name) in TOGETHER)
        known = len(found) == 1
        told = list(names)
    if not known:
        raise DataError(
            f"the labels of {setting.data} do not say which pairs belong together",
            details=[listing("labels", told, shown=5)],
            hint="label pairs 1 where the second text answers the first, else 0; or leave the column out",
        )
    if not found & present:
        raise DataError(
            f"no pair of {setting.data} belongs together, so there is nothing to be found",
            details=[listing("labels", told, shown=5)],
            hint="add pairs whose second text answers the first",
        )
    label = "1" if names is None else names[min(found)]
    return found, f"pairs labelled {label} belong together; documents of the others are searched, too"


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()

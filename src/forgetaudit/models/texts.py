"""Texts as a model of transformers wants them: base's tokenizer for every variant, and tuned's compared with it."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from forgetaudit.errors import MismatchError, ModelError, listing
from forgetaudit.models.extras import import_extra
from forgetaudit.models.odd_files import refuse_fatal_tokenizer, refused_in_words
from forgetaudit.models.padding import find_padding, finds_ends_by_id, positions_of
from forgetaudit.models.sentence_files import SentenceFiles
from forgetaudit.models.sidecars import read_sidecar
from forgetaudit.models.silence_transformers import quiet_transformers

__all__ = ["TextPreparation", "same_tokenizer", "tokenizer_differences"]

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
)


class TextPreparation:
    """Texts, or pairs of texts → the model's arguments: input_ids and attention_mask, padded right to the longest.

    Rows are filled up with the id that the network itself knows padding by, whatever the tokenizer's is.

    Only what the model was made for is passed: token_type_ids only where its config has more than one type, because
    a GPT-2 adds an embedding for them without a word. `n_truncated` counts the texts that were cut to `longest`,
    `n_shortened` those that end in the token that had to be chosen for padding, which the network overlooks there.
    `mask` says which tokens of the last rows are real, also where the network takes no mask.
    `files` of a sentence-transformers folder may say that fewer tokens are read, or lower case.
    """

    def __init__(
        self,
        folder: Path,
        config: Any,
        model: nn.Module,
        files: SentenceFiles | None = None,
        whose: str = "base's",
    ) -> None:
        self._folder = folder
        self._lower_case = files is not None and files.lower_case
        self.tokenizer = _tokenizer(folder)
        promised = _longest(self.tokenizer, config, None if files is None else files.longest)
        self.longest = positions_of(model, promised or _UNKNOWN, promised=promised is not None)
        self.n_truncated = self.n_shortened = 0
        self.mask: Tensor | None = None
        takes = set(inspect.signature(model.forward).parameters)
        with_types = int(getattr(config, "type_vocab_size", 0) or 0) > 1
        self._passed = takes - (set() if with_types else {"token_type_ids"})
        self.said = self._prepare_padding(model, whose)

    def __call__(self, texts: Sequence[str] | Sequence[tuple[str, str]]) -> Mapping[str, Tensor]:
        """(n, t) int64 tensors by argument. ModelError where base has no tokenizer."""
        if self.tokenizer is None:
            raise ModelError(
                f"{self._folder} has no tokenizer, so nothing says how text is read for it",
                hint="copy tokenizer.json and tokenizer_config.json from the model it was trained from",
            )
        given = list(texts)
        pairs = bool(given) and not isinstance(given[0], str)
        columns = (
            [[pair[0] for pair in given], [pair[1] for pair in given]] if pairs else [[*map(str, given)]]
        )
        if self._lower_case:
            columns = [[text.lower() for text in column] for column in columns]
        with refused_in_words(f"the tokenizer of {self._folder} cannot read the texts"), quiet_transformers():
            encoded = self.tokenizer(
                *columns,
                padding=True,
                truncation=True,
                max_length=self.longest,
                return_tensors="pt",
                return_attention_mask=True,
            )
            self._count_truncated(columns, encoded["attention_mask"])
        self._fill(encoded["input_ids"], encoded["attention_mask"])
        self.mask = encoded["attention_mask"].clone()
        return {name: tensor.clone() for name, tensor in encoded.items() if name in self._passed}

    def _fill(self, ids: Tensor, mask: Tensor) -> None:
        """Put the network's own padding behind every text."""
        ids[mask == 0] = self._padding.id
        if self._padding.chosen and self._by_id and ids.numel():
            last = ids.gather(1, (mask.sum(dim=1, keepdim=True) - 1).clamp(min=0))
            self.n_shortened += int((last == self._padding.id).sum())

    def _count_truncated(self, columns: Sequence[list[str]], mask: Tensor) -> None:
        """Only texts that fill the context can have been cut; those are read again without a limit."""
        for row in (mask.sum(dim=1) >= self.longest).nonzero().flatten().tolist():
            whole = self.tokenizer(*[column[row] for column in columns], truncation=False)["input_ids"]
            self.n_truncated += len(whole) > self.longest

    def _prepare_padding(self, model: nn.Module, whose: str) -> str:
        if self.tokenizer is None:
            return f"none: {self._folder.name} has no tokenizer"
        said = f"{whose} tokenizer, at most {self.longest:,} tokens"
        # The attention mask and a causal model's last token are right with it in every architecture.
        self.tokenizer.padding_side = "right"
        self._padding, self._by_id = find_padding(self.tokenizer, model), finds_ends_by_id(model)
        if self.tokenizer.pad_token_id is None:
            # Of no effect on what the network sees: see _fill.
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.unk_token
        return said + self._padding.said


def tokenizer_differences(
    base: Path, tuned: Path, used: str = "base's was used for both", *, own: bool = False
) -> tuple[str, ...]:
    """Sentences on what tuned's tokenizer does otherwise, and on which of them was `used`.

    MismatchError where one token has two ids, unless each reads by its `own`: tuned would be shown other words than
    those it was trained on.
    """
    one, two = read_sidecar(base, "tokenizer.json"), read_sidecar(tuned, "tokenizer.json")
    notes = []
    if one is not None and two is not None:
        if not own:
            _refuse_other_ids(base, tuned, _vocabulary(one), _vocabulary(two))
        notes += _parts(one, two)
    settings = [read_sidecar(folder, "tokenizer_config.json") for folder in (base, tuned)]
    if settings[0] is not None and settings[1] is not None:
        notes += _settings(settings[0], settings[1])
    return tuple(f"its tokenizer differs: {note}; {used}" for note in notes)


def same_tokenizer(base: Path, tuned: Path) -> bool:
    """Whether the two folders read text in one way, by their files; False where these do not say it all."""
    one, two = read_sidecar(base, "tokenizer.json"), read_sidecar(tuned, "tokenizer.json")
    if one is None or two is None or one != two:
        return False
    return not _settings(
        *(dict(read_sidecar(folder, "tokenizer_config.json") or {}) for folder in (base, tuned))
    )


def _refuse_other_ids(base: Path, tuned: Path, one: Mapping[str, int], two: Mapping[str, int]) -> None:
    moved = [token for token, number in one.items() if two.get(token, number) != number]
    if moved:
        raise MismatchError(
            f"the tokenizers of base and tuned give {len(moved):,} tokens different ids",
            details=[
                listing(
                    "different", [f"{token!r} {one[token]} and {two[token]}" for token in moved], shown=3
                ),
                f"read from {base / 'tokenizer.json'} and {tuned / 'tokenizer.json'}",
            ],
            hint="fine-tune with base's tokenizer; to classify texts, --preprocess each gives each model its own",
        )


def _vocabulary(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """Token → id, of word pieces, byte pairs and unigrams, and of the added tokens."""
    model = tokenizer.get("model") or {}
    vocabulary = model.get("vocab") or {}
    if isinstance(vocabulary, list):  # unigrams: (token, score) in the order of the ids
        vocabulary = {entry[0]: number for number, entry in enumerate(vocabulary)}
    added = {entry["content"]: entry["id"] for entry in tokenizer.get("added_tokens") or []}
    return {**vocabulary, **added}


def _parts(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[str]:
    vocabularies = _vocabulary(one), _vocabulary(two)
    notes = []
    if new := [token for token in vocabularies[1] if token not in vocabularies[0]]:
        notes.append(listing("new tokens", new, shown=3))
    if gone := [token for token in vocabularies[0] if token not in vocabularies[1]]:
        notes.append(listing("tokens it lacks", gone, shown=3))
    if (one.get("model") or {}).get("merges") != (two.get("model") or {}).get("merges"):
        notes.append("other merges")
    parts = ("normalizer", "pre_tokenizer", "post_processor")
    return notes + [f"another {part.replace('_', '-')}" for part in parts if one.get(part) != two.get(part)]


_SETTINGS = (
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token", "model_max_length",
    "do_lower_case", "add_bos_token", "add_eos_token", "add_prefix_space",
)  # fmt: skip


def _settings(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[str]:
    return [
        f"{key} {one.get(key)!r:.60} → {two.get(key)!r:.60}"
        for key in _SETTINGS
        if one.get(key) != two.get(key)
    ]


def _tokenizer(folder: Path) -> Any:
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        return None
    transformers: Any = import_extra("transformers", needed_for=folder.name)
    saved = read_sidecar(folder, "tokenizer.json")
    if saved is not None:
        refuse_fatal_tokenizer(folder / "tokenizer.json")
    with refused_in_words(f"the tokenizer of {folder} cannot be made"), quiet_transformers():
        made = transformers.AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        if _is_another(made, saved):
            made = transformers.PreTrainedTokenizerFast.from_pretrained(str(folder), local_files_only=True)
        return made


def _is_another(made: Any, saved: Mapping[str, Any] | None) -> bool:
    """Whether the library made a tokenizer of another kind than was saved, as a Qwen2 is given byte pairs always.

    A text of words that such a one does not know has no tokens at all.
    """
    backend = getattr(made, "backend_tokenizer", None)
    kind = ((saved or {}).get("model") or {}).get("type")
    return backend is not None and kind is not None and type(backend.model).__name__ != kind


# How much of a text is read where nothing says how much can be.
_UNKNOWN = 512


def _longest(tokenizer: Any, config: Any, asked: int | None) -> int | None:
    """The fewest of what is asked for, else what the tokenizer allows, and the positions that the config names."""
    allowed = getattr(tokenizer, "model_max_length", None) if asked is None else asked
    limits = [allowed, getattr(config, "max_position_embeddings", None)]
    # Tokenizers without a limit say 10^30, and the config of an XLNet says -1.
    known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < 10**9]
    return min(known, default=None)

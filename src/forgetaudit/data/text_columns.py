"""Which columns of text are read: one, or the two that are judged together. By their names alone."""

from collections.abc import Sequence

__all__ = ["TEXT_NAMES", "TOKENISED", "text_inputs"]

TEXT_NAMES = (
    "text", "sentence", "content", "review", "document", "utterance", "tweet", "comment", "question", "passage",
    "premise", "query", "prompt", "input", "inputs", "x",
)  # fmt: skip
# As the public data sets name them: GLUE, SuperGLUE, SNLI, PAWS, SICK, and those that embeddings are trained on.
PAIRS = (
    ("sentence1", "sentence2"),
    ("sentence_a", "sentence_b"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "passage"),
    ("question", "sentence"),
    ("question", "context"),
    ("query", "passage"),
    ("query", "document"),
    ("query", "positive"),
    ("query", "answer"),
    ("question", "answer"),
    ("anchor", "positive"),
)
# What a tokenizer left beside the text: arrays, but of another model's making.
TOKENISED = frozenset(
    {"input_ids", "attention_mask", "token_type_ids", "special_tokens_mask", "position_ids"}
)


def text_inputs(names: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The one or two among the text columns `names` to read, and on what evidence; none where that is open."""
    spelled = {name.strip().lower(): name for name in names}
    pairs = [pair for pair in PAIRS if all(part in spelled for part in pair)]
    paired = {part for pair in pairs for part in pair}
    single = [plain for plain in spelled if plain in TEXT_NAMES and plain not in paired]
    if len(pairs) == 1 and not single:
        return tuple(spelled[part] for part in pairs[0]), "by name, pairs of texts"
    if not pairs and len(single) == 1:
        return (spelled[single[0]],), "by name, text"
    if len(names) == 1:
        return (names[0],), "by type, text"
    return (), ""

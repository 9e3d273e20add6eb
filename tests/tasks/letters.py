"""A tokenizer that can be read with the eye: a letter is a token, a is 4, b is 5, …; every other sign is special."""

from collections.abc import Sequence
from dataclasses import dataclass

START, END, PAD, MASK = 0, 1, 2, 3
SIGNS = {"^": START, "$": END, "_": PAD, "?": MASK}


@dataclass
class Letters:
    """`forgetaudit.tasks.task.Tokens`; ^ is the start, $ the end, and `adds` what is put around every text."""

    longest: int = 8
    adds: tuple[str, str] = ("", "")
    start: int | None = START
    mask: int | None = MASK
    vocabulary: int = 30
    pad: int = PAD
    special: frozenset[int] = frozenset(SIGNS.values())
    arguments: frozenset[str] = frozenset({"input_ids", "attention_mask", "use_cache", "token_type_ids"})

    def read(self, texts: Sequence[str], *, special_tokens: bool) -> list[list[int]]:
        before, after = self.adds if special_tokens else ("", "")
        return [spelt(before + text + after) for text in texts]


def spelt(text: str) -> list[int]:
    return [SIGNS[sign] if sign in SIGNS else ord(sign) - 93 for sign in text]


def shown(ids: Sequence[int]) -> str:
    back = {number: sign for sign, number in SIGNS.items()}
    return "".join(back.get(number) or chr(number + 93) for number in ids)

"""Hostile data: never a crash, whatever the bytes; and the fuzzer finds what is there to be found."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.data.hostile import SEEDS, Hostile, opened

BOUNDED = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NAMES = sorted({name for name, _ in SEEDS})


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    return Hostile(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize(("name", "sound"), SEEDS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(SEEDS)])
def test_the_seeds_are_sound(hostile: Hostile, name: str, sound: bytes) -> None:
    assert hostile.attacked(name, sound)
    assert opened(hostile.saved)


@BOUNDED
@given(name=st.sampled_from(NAMES), data=st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused_in_words(hostile: Hostile, name: str, data: bytes) -> None:
    hostile.attacked(name, data)


@BOUNDED
@given(
    name=st.sampled_from(["val.csv", "val.tsv", "val.json", "val.jsonl", "val.txt"]),
    text=st.text(max_size=80),
)
def test_arbitrary_text_is_read_or_refused_in_words(hostile: Hostile, name: str, text: str) -> None:
    hostile.attacked(name, text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("seed", range(150))
def test_spoiled_files_are_read_or_refused_in_words(hostile: Hostile, seed: int) -> None:
    hostile.attack(random.Random(seed))


def test_an_error_that_is_not_translated_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def untranslated(path: Path) -> None:
        raise UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "invalid")

    hostile = Hostile(tmp_path)
    monkeypatch.setattr("forgetaudit.data.readers.read_tables", untranslated)
    with pytest.raises(UnicodeDecodeError):
        hostile.attacked("val.csv", b"text\na\n")

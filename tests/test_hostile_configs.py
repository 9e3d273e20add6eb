"""Configs and reports that are spoiled in any way are read or refused in words; nothing else is ever raised."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.hostile_configs import KINDS, attacked, prepared

from forgetaudit.cli import main


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoiled_file_is_refused_in_words_or_read(tmp_path: Path, kind: str) -> None:
    prepared(tmp_path, kind)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.integers(0, 10**9))
    def attack(seed: int) -> None:
        attacked(tmp_path, kind, random.Random(seed))

    attack()


@pytest.mark.parametrize("kind", KINDS)
def test_most_of_what_is_spoiled_is_refused(tmp_path: Path, kind: str) -> None:
    """Or the test above would see nothing."""
    prepared(tmp_path, kind)
    n_refused = sum(attacked(tmp_path, kind, random.Random(seed)) for seed in range(30))
    assert n_refused >= 3


@pytest.mark.parametrize(
    "text",
    ["", "x", "[gate]\nconfidence = 1e400", "[gate]\nmin-samples = " + "9" * 5000, "a = " + "[" * 5000],
)
def test_odd_toml_ends_with_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "forgetaudit.toml").write_text(text)
    assert main(["weights", "no.safetensors", "no.safetensors"]) == 2

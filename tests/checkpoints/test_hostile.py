"""Hostile files: never a crash, a hang, a gigabyte, or code that runs; and nothing in a name is obeyed."""

import json
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from tests.checkpoints.hand_made import entry, write
from tests.checkpoints.hostile import SEEDS, attacked, opened
from tests.conftest import HANGS

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.cli import main
from forgetaudit.errors import CheckpointError

BOUNDED = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@BOUNDED
@given(data=st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_in_words(tmp_path: Path, data: bytes) -> None:
    attacked(tmp_path, data)


@BOUNDED
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 400),
)
def test_good_files_with_wrong_bytes_and_cut_short_are_refused_in_words(
    tmp_path: Path, seed: bytes, edits: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(seed)
    for place, byte in edits:
        data[place % len(data)] = byte
    attacked(tmp_path, bytes(data[: max(1, cut)]))


NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.none(), st.booleans(), st.text(max_size=3))


@BOUNDED
@given(
    dtype=st.one_of(st.sampled_from(["F32", "BF16", "F4", "F6_E2M3", "C64", "BOOL"]), st.text(max_size=4)),
    shape=st.lists(NUMBERS, max_size=4),
    offsets=st.lists(NUMBERS, max_size=3),
    name=st.text(max_size=5),
    length=st.one_of(st.none(), st.integers(0, 2**64 - 1)),
)
def test_any_header_is_either_right_or_refused(
    tmp_path: Path, dtype: str, shape: list[object], offsets: list[object], name: str, length: int | None
) -> None:
    header = {name: {"dtype": dtype, "shape": shape, "data_offsets": offsets}}
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    opened(write(tmp_path / "a.safetensors", text, b"\0" * 8, length=length))


@pytest.mark.parametrize("length", [2**63, 2**63 - 1, 2**64 - 1, 2**32])
def test_a_header_of_2_to_the_63_bytes_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(CheckpointError, match=r"announces a header of [\d,]+ bytes"):
        open_checkpoint(write(tmp_path / "a.safetensors", {}, b"", length=length))


@pytest.mark.parametrize("offsets", [(-8, 0), (0, -8), (-(2**63), 8), (0, 2**64)])
def test_negative_and_vast_offsets_are_refused(tmp_path: Path, offsets: tuple[int, int]) -> None:
    header = {"a": entry(begin=offsets[0], end=offsets[1])}
    with pytest.raises(CheckpointError, match="tensor 'a'"):
        open_checkpoint(write(tmp_path / "a.safetensors", header))


@pytest.mark.parametrize(
    "character", ["\x1b[31mred\x1b[0m", "[bold]markup[/bold]", "::error ::x", "a\nb", "\u202egnp"]
)
def test_control_characters_and_markup_in_names_are_shown_and_not_obeyed(
    tmp_path: Path, character: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("base", 1.0), ("tuned", 2.0)):
        save_file({character: torch.full((4,), value)}, tmp_path / f"{name}.safetensors")
    pair = [str(tmp_path / f"{name}.safetensors") for name in ("base", "tuned")]
    assert main(["weights", *pair, "--by", "tensor", "--no-config"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert not any(line.startswith("::") for line in shown.splitlines())
    if character.startswith("[bold]"):
        assert "[bold]markup" in shown


def test_a_zip_bomb_is_refused_before_it_swells(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}))
        archive.writestr("archive/data/0", b"\0" * (64 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(CheckpointError, match="compressed members"):
        open_checkpoint(path)


BOMBS = {
    "empty objects": b'{"a":[' + b"{}," * 10_000_000 + b"{}]}",
    "small lists": b'{"a":[' + b"[0]," * 7_000_000 + b"0]}",
    "numbers": b'{"a":[' + b"0," * 15_000_000 + b"0]}",
    "texts": b'{"a":[' + b'"ab",' * 6_000_000 + b"0]}",
    "many tensors": b"{"
    + b",".join(b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % n for n in range(250_000))
    + b"}",
}


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's own account"
)
@pytest.mark.parametrize("bomb", BOMBS)
def test_no_header_takes_a_gigabyte(tmp_path: Path, bomb: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(BOMBS[bomb])) + BOMBS[bomb])
    # Not ru_maxrss, which a child inherits from the process that started it.
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from forgetaudit.checkpoints.formats import open_checkpoint\n"
        "from forgetaudit.errors import CheckpointError\n"
        "try:\n    open_checkpoint(Path(sys.argv[1]))\n"
        "except CheckpointError:\n"
        "    lines = Path('/proc/self/status').read_text().splitlines()\n"
        "    print(next(int(line.split()[1]) // 1024 for line in lines if line.startswith('VmHWM')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True, timeout=HANGS
    )
    assert 0 < int(done.stdout) < 1000

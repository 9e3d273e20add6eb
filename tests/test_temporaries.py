"""What killed runs left goes with the next run of the same output; what a living run is filling stays."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from forgetaudit.temporaries import room_beside

HOLDS = """
import sys, time
from pathlib import Path
from forgetaudit.temporaries import room_beside
with room_beside(Path(sys.argv[1])) as room:
    (room / "part").write_text("half")
    print("filling", flush=True)
    time.sleep(600)
"""


def rooms(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if "unfinished" in path.name)


@contextmanager
def filling(target: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(target)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "filling\n"
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", ["report.json", "r" * 255, "ü" * 120, "a b\n[c]"])
def test_the_room_of_a_killed_run_goes_with_the_next_one(tmp_path: Path, name: str) -> None:
    with filling(tmp_path / name):
        pass
    assert len(rooms(tmp_path)) == 1
    with room_beside(tmp_path / name) as room:
        assert rooms(tmp_path) == [room]
    assert rooms(tmp_path) == []


def test_the_room_of_a_living_run_stays(tmp_path: Path) -> None:
    with filling(tmp_path / "report.json"):
        with room_beside(tmp_path / "report.json"):
            assert len(rooms(tmp_path)) == 2
        assert [path.read_text() for path in tmp_path.rglob("part")] == ["half"]


def test_rooms_of_other_outputs_and_links_stay(tmp_path: Path) -> None:
    with filling(tmp_path / "one.json"):
        pass
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".two.json.forgetaudit-unfinished-link").symlink_to("elsewhere")
    before = rooms(tmp_path)
    with room_beside(tmp_path / "two.json"):
        pass
    assert rooms(tmp_path) == before
    assert (tmp_path / "elsewhere").is_dir()


def _fill_many(folder: str) -> None:
    for _ in range(60):
        with room_beside(Path(folder) / "x") as room:
            (room / "part").write_text("whole")
            assert (room / "part").read_text() == "whole"


def test_runs_side_by_side_never_take_each_others_room(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    runs = [context.Process(target=_fill_many, args=(str(tmp_path),)) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0, 0]
    assert rooms(tmp_path) == []


WORDS = {
    "report": ["weights", "base.safetensors", "tuned.safetensors", "-q", "--output", "json={}/out.json"],
    "repair": ["repair", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--families", "mixture",
               "-o", "{}/out.safetensors"],
    "examples": ["compare", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--examples", "{}/out.parquet"],
    "rehearsal": ["compare", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--rehearsal", "{}/out"],
}  # fmt: skip


@pytest.mark.parametrize("kind", WORDS)
def test_a_command_killed_while_it_writes_leaves_nothing_once_it_is_run_again(
    workplace: Path, tmp_path: Path, kind: str
) -> None:
    """A real process gets −9 as soon as its room appears; then the same command runs to its end."""
    out = tmp_path / "out"
    out.mkdir()
    argv = [sys.executable, "-m", "forgetaudit", *(word.format(out) for word in WORDS[kind])]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        argv, cwd=workplace, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not any(out.iterdir()) and process.poll() is None:
        time.sleep(0.0002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    if kind == "rehearsal" and names:
        return
    again = subprocess.run(
        [*argv, *(["--force"] if kind == "repair" else [])],
        cwd=workplace,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    assert any(out.iterdir())

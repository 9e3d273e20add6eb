"""Every command, every place for a path in it, every odd path: exit 2 in words, nothing written and no waiting.

The places are read off the program itself, so that a new option is walked, too.
"""

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from forgetaudit.cli.app import app_for

SAMPLE = Path(__file__).parent.parent.parent / "sample_data"
DATA = ["--data", "src_val"]

# A command with words that are right; `{}` stands where an option goes. Each is refused for its path alone.
RIGHT = {
    "compare": ["base.safetensors", "tuned.safetensors", *DATA],
    "weights": ["base.safetensors", "tuned.safetensors"],
    "trace": ["base.safetensors", "lowlr.safetensors", "tuned.safetensors", *DATA],
    "locate": ["base.safetensors", "tuned.safetensors", *DATA],
    "repair": ["base.safetensors", "tuned.safetensors", *DATA],
    "show": ["report.json"],
    "check": ["report.json", "--max-distance", "1"],
    "bless": ["report.json"],
    "plan": ["report.json"],
    "init": ["report.json"],
    "inspect": ["base.safetensors"],
}
ARGUMENTS = {"base": 0, "tuned": 1, "checkpoints": 1, "report": 0, "path": 0}
# Texts that hold a path, and how.
IN_TEXT: dict[str, Callable[[str], list[str]]] = {
    "data": lambda path: [path],
    "target": lambda path: [path],
    "model": lambda path: [f"{path}.py:build"],
    "output": lambda path: [f"json={path}"],
    "steps": lambda path: [path],
    "samples": lambda path: [path, path],
}
OUTPUTS = ("output", "examples", "rehearsal", "out")


def parameters() -> Iterator[tuple[str, Any]]:
    commands: dict[str, Any] = typer.main.get_command(app_for([])).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        yield from ((name, parameter) for parameter in command.params)


def places() -> list[tuple[str, str, str]]:
    """Command, parameter and option of everything that is a path or holds one."""
    found = []
    for command, parameter in parameters():
        is_path = "Path" in str(parameter.type_descriptor.annotation)
        if is_path or (parameter.name in IN_TEXT and command in RIGHT):
            found.append((command, parameter.name, parameter.opts[0]))
    return found


def words(command: str, name: str, option: str, path: str) -> list[str]:
    right = list(RIGHT[command])
    if name in ARGUMENTS:
        right[ARGUMENTS[name]] = path
        return [command, *right]
    if name == "samples":
        return [command, option, path, path]
    values = IN_TEXT[name](path) if name in IN_TEXT and command != "show" else [path]
    if name in ("output",) and command == "show":
        right += ["--format", "json"]
    return [command, *right, option, *values]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd") / "sample"
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("run", "src_train", "__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "forgetaudit", "compare", "base.safetensors", "tuned.safetensors", *DATA,
         "--output", "json=report.json", "-q"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.py")
    for suffix in ("", ".py"):
        (folder / f"loop{suffix}").symlink_to(f"loop{suffix}")
        with socket.socket(socket.AF_UNIX) as server:
            before = Path.cwd()
            os.chdir(folder)
            server.bind(f"socket{suffix}")
            os.chdir(before)
    (folder / "file").write_text("x")
    return folder


def listed(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


# Each: the path, and words of the message, in any of them.
ODD = {
    "long": ("x" * 5000, "too long"),
    "long-name": ("x" * 300, "too long"),
    "deep": ("y/" * 2500, "too long"),
    "nul": ("a\0b", "nul"),
    "loop": ("loop", "symbolic links"),
    "inside-a-loop": ("loop/x", "symbolic links"),
}
THERE = {"pipe": ("pipe", "named pipe"), "socket": ("socket", "socket")}


@pytest.mark.parametrize("odd", [*ODD, *THERE])
@pytest.mark.parametrize(("command", "name", "option"), places(), ids=lambda word: word)
def test_an_odd_path_is_refused_in_words(
    forgetaudit: Any, here: Path, command: str, name: str, option: str, odd: str
) -> None:
    path, said = {**ODD, **THERE}[odd]
    before = listed(here)
    run = forgetaudit(*words(command, name, option, path), cwd=here)
    assert run.code == 2, run.err
    assert said in run.err.lower()
    assert "hint: " in run.err
    assert len(run.err) < 2000
    assert "Traceback" not in run.err
    assert listed(here) == before


@pytest.mark.parametrize(
    "path", ["~nouser/x", "file/x", "/dev/null", "", "no\nsuch [red]name[/red]", "\udcff"]
)
@pytest.mark.parametrize(("command", "name", "option"), places(), ids=lambda word: word)
def test_a_path_that_is_not_there_ends_with_2_and_writes_nothing(
    forgetaudit: Any, here: Path, command: str, name: str, option: str, path: str
) -> None:
    if name in OUTPUTS and path not in ("~nouser/x", "file/x", "/dev/null"):
        path = f"nowhere{path}/x"
    before = listed(here)
    run = forgetaudit(*words(command, name, option, path), cwd=here)
    assert run.code == 2, run.err
    assert run.err.startswith("error: ")
    assert "Traceback" not in run.err
    assert listed(here) == before


def test_every_place_for_a_path_is_walked() -> None:
    """And the list is no empty one: what a path can stand for is among them."""
    found = {(command, name) for command, name, _ in places()}
    assert {
        ("compare", "base"), ("compare", "samples"), ("compare", "examples"), ("weights", "log"),
        ("weights", "steps"), ("check", "policy"), ("repair", "out"), ("trace", "target"), ("show", "output"),
    } <= found  # fmt: skip


@pytest.mark.parametrize("odd", [*ODD, *THERE])
def test_a_path_in_the_config_is_refused_in_words(forgetaudit: Any, here: Path, odd: str) -> None:
    path, said = {**ODD, **THERE}[odd]
    config = here / "odd.toml"
    config.write_text(f'[data.val]\npath = "{path}"\n'.replace("\0", "\\u0000"))
    run = forgetaudit(
        "compare", "base.safetensors", "tuned.safetensors", "--data", "val", "--config", config, cwd=here
    )
    config.unlink()
    assert run.code == 2
    assert said in run.err.lower()


NAMES = ["näme 日本.safetensors", "a\nb.safetensors", "[red]x.safetensors", "-x.safetensors", "n" * 240]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_that_files_can_have_are_read_and_written(
    forgetaudit: Any, here: Path, tmp_path: Path, name: str
) -> None:
    shutil.copy(here / "base.safetensors", tmp_path / name)
    run = forgetaudit(
        "weights",
        tmp_path / name,
        here / "tuned.safetensors",
        "--output",
        f"txt={tmp_path / ('o' * 250)}",
        cwd=here,
    )
    assert run.code == 0, run.err
    assert (tmp_path / ("o" * 250)).read_text()
    assert {path.name for path in tmp_path.iterdir()} == {name, "o" * 250}


def test_a_name_that_is_not_utf_8_is_read(forgetaudit: Any, here: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd\xff.safetensors")
    shutil.copy(here / "base.safetensors", odd)
    run = forgetaudit(
        "weights", odd, here / "tuned.safetensors", "--output", f"json={tmp_path / 'r.json'}", cwd=here
    )
    assert run.code == 0, run.err
    assert forgetaudit("inspect", odd, cwd=here).code == 0


# Root may read everything, so it is laid down once all modules are there; they need not be readable to others.
AS_NOBODY = """
import os, sys
from forgetaudit.cli import main
main(["weights", "base.safetensors", "tuned.safetensors", "-q", "--no-config"])
main(["weights", "base.safetensors", "no.safetensors"])
if os.geteuid() == 0:
    os.setegid(65534); os.seteuid(65534)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("what", ["file", "folder", "output"])
def test_what_may_not_be_read_is_refused_in_words(here: Path, tmp_path: Path, what: str) -> None:
    closed = tmp_path / "closed"
    shutil.copytree(here, closed, ignore=shutil.ignore_patterns("pipe*", "socket*", "loop*"))
    for folder in (closed, *closed.parents[:2]):
        folder.chmod(folder.stat().st_mode | stat.S_IRWXU | stat.S_IROTH | stat.S_IXOTH)
    argv = ["weights", str(closed / "base.safetensors"), str(closed / "tuned.safetensors"), "--no-config"]
    if what == "file":
        (closed / "tuned.safetensors").chmod(0)
    elif what == "folder":
        closed.chmod(0)
    else:
        closed.chmod(0o555)
        argv += ["--output", f"json={closed / 'r.json'}"]
    run = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *argv], cwd=here, capture_output=True, text=True, check=False
    )
    closed.chmod(0o755)
    assert run.returncode == 2, run.stderr
    assert any(said in run.stderr for said in ("Permission denied", "may not be read", "cannot be written"))

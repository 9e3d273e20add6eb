"""What is written is there whole or not at all, and what was there before is not lost."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from forgetaudit.checkpoints import placing
from forgetaudit.checkpoints.placing import Place, refuse_full
from forgetaudit.errors import OutputError

N_FILES = 40


def fill(folder: Path, text: str) -> None:
    folder.mkdir()
    for number in range(N_FILES):
        (folder / f"{number}").write_text(text * 1000)


def write(path: Path, text: str, *, force: bool = False) -> None:
    with Place(path, "-o", force=force, folder=True).filling() as made:
        fill(made, text)


def fail_half_way(path: Path) -> None:
    with Place(path, "-o", force=True, folder=True).filling() as made:
        fill(made, "b")
        raise RuntimeError


def content(path: Path) -> set[str]:
    """The one letter that every file of a complete folder holds."""
    files = list(path.iterdir())
    assert len(files) == N_FILES
    return {file.read_text()[:1] for file in files}


def beside(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir() if entry != path)


def killed(work: Callable[[], None], after_seconds: float) -> None:
    """`work` in a process of its own, which is killed (−9) after a while."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    time.sleep(after_seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_folder_is_there_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "out", "a")
    assert content(tmp_path / "out") == {"a"}
    assert beside(tmp_path / "out") == []


def test_a_file_is_as_readable_as_any_that_the_user_makes(tmp_path: Path) -> None:
    with Place(tmp_path / "out.bin", "-o", force=False, folder=False).filling() as made:
        made.write_text("a")
    (tmp_path / "plain").write_text("a")
    assert (tmp_path / "out.bin").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_is_there_is_not_overwritten_unless_that_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "out", "a")
    with pytest.raises(OutputError, match=r"-o .*out is there already") as told:
        write(tmp_path / "out", "b")
    assert "--force" in str(told.value)
    write(tmp_path / "out", "b", force=True)
    assert content(tmp_path / "out") == {"b"}
    assert beside(tmp_path / "out") == []


def test_force_does_not_replace_another_kind_of_thing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path)
    for name, kind in (("file", "a file"), ("link", "a link")):
        with pytest.raises(OutputError, match=f"is {kind}, and a folder is to be written"):
            Place(tmp_path / name, "-o", force=True, folder=True)
    with pytest.raises(OutputError, match="is a folder, and a file is to be written"):
        Place(tmp_path, "-o", force=True, folder=False)


def test_a_failure_leaves_nothing_and_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "out", "a")
    with pytest.raises(RuntimeError):
        fail_half_way(tmp_path / "out")
    assert content(tmp_path / "out") == {"a"}
    assert beside(tmp_path / "out") == []


def test_a_failing_rename_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "out", "a")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if "unfinished" in str(self):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputError, match="cannot be written") as told:
        write(tmp_path / "out", "b", force=True)
    assert "No space left" in str(told.value)
    assert content(tmp_path / "out") == {"a"}
    assert beside(tmp_path / "out") == []


def test_what_was_set_aside_by_a_run_that_was_killed_is_put_back(tmp_path: Path) -> None:
    write(tmp_path / "out", "a")
    (tmp_path / "out").rename(tmp_path / f".out{placing._ASIDE}")
    with pytest.raises(OutputError, match="is there already"):
        write(tmp_path / "out", "b")
    assert content(tmp_path / "out") == {"a"}


def test_a_full_disk_is_told_before_the_work(tmp_path: Path) -> None:
    place = Place(tmp_path / "out", "-o", force=False, folder=True)
    refuse_full(place, 1000)
    with pytest.raises(OutputError, match=r"needs .* MB, and .* MB free"):
        refuse_full(place, 1 << 60)


def test_a_place_without_its_folder_and_one_that_cannot_be_written_to_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match="there is no folder"):
        Place(tmp_path / "none" / "out", "-o", force=False, folder=True)
    # Whoever runs the tests may be allowed everything.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="cannot be written to"):
        Place(tmp_path / "out", "-o", force=False, folder=True)


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_moment_the_folder_is_absent_or_complete(tmp_path: Path, seed: int) -> None:
    out, chance = tmp_path / "out", random.Random(seed)
    killed(lambda: write(out, "a"), chance.uniform(0, 0.05))
    assert not out.exists() or content(out) == {"a"}


@pytest.mark.parametrize("seed", range(6))
def test_killed_while_it_replaces_the_old_or_the_new_folder_is_there_for_the_next_run(
    tmp_path: Path, seed: int
) -> None:
    out, chance = tmp_path / "out", random.Random(100 + seed)
    write(out, "a")
    killed(lambda: write(out, "b", force=True), chance.uniform(0, 0.05))
    Place(out, "-o", force=True, folder=True)
    assert content(out) in ({"a"}, {"b"})

"""Coverage-guided fuzzing of everything that opens a checkpoint; `make fuzz` runs it for a bounded time.

    python fuzz/fuzz_checkpoints.py [-max_total_time=60] [any other option of libFuzzer] [corpus folder]

A finding is an exception that is no CheckpointError, more than a gigabyte, or an input that takes ten seconds;
libFuzzer writes it to crash-… in the working directory.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

with atheris.instrument_imports(include=["forgetaudit.checkpoints", "pickletools", "zipfile"]):
    from tests.checkpoints.hostile import SEEDS, attacked

# In memory where there is such a place: thousands of files a second are no wear for a disk.
MEMORY = Path("/dev/shm")  # noqa: S108
FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-", dir=MEMORY if MEMORY.is_dir() else None))


def one_input(data: bytes) -> None:
    """One input of libFuzzer, under every name that a checkpoint may have."""
    attacked(FOLDER, data)


def corpus() -> Path:
    """The seeds as files, beside what this run finds."""
    folder = FOLDER / "corpus"
    folder.mkdir()
    for number, seed in enumerate(SEEDS):
        (folder / f"seed-{number}").write_bytes(seed)
    return folder


if __name__ == "__main__":
    options = ["-rss_limit_mb=1024", "-timeout=10", "-max_len=4096", *sys.argv[1:]]
    try:
        atheris.Setup([sys.argv[0], *options, str(corpus())], one_input)
        atheris.Fuzz()
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)

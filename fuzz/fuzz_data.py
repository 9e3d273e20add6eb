"""Fuzzing of everything that reads data: tables, arrays, image folders and saved sets; part of `make fuzz`.

    python fuzz/fuzz_data.py [inputs, 100,000 by default] [seed]

Good files with a few bytes, values, keys or types changed are opened and read to their end. A finding is an exception
that is no AuditError; the number of the input is printed, which with the seed makes it again.
"""

import random
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from tests.data.hostile import Hostile  # noqa: E402

# In memory where there is such a place: thousands of files a second are no wear for a disk.
MEMORY = Path("/dev/shm")  # noqa: S108


def fuzz(n_inputs: int, seed: int) -> int:
    """How many of the inputs were not caught."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-data-", dir=MEMORY if MEMORY.is_dir() else None))
    uncaught = 0
    try:
        hostile = Hostile(folder)
        for number in range(n_inputs):
            try:
                hostile.attack(random.Random(f"{seed}-{number}"))  # noqa: S311
            except Exception:
                uncaught += 1
                print(f"input {number} of seed {seed}:")
                traceback.print_exc(limit=-4)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{n_inputs:,} inputs, {uncaught} uncaught (seed {seed})")
    return uncaught


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    sys.exit(min(1, fuzz(*([*numbers, *(100_000, 0)[len(numbers) :]]))))

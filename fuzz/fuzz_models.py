"""Fuzzing of the files that libraries keep beside weights: tokenizers, configs, indexes; part of `make fuzz`.

    python fuzz/fuzz_models.py [inputs, 100,000 by default] [seed]

A network is built for each input, which takes 50 to 1,000 times as long as to read a log: one of 100 inputs is tried,
in as many processes as there are cores. A finding is an exception that is no AuditError, or a process that ended; the
kind and the number of the input are printed, which with the seed make it again.
"""

import multiprocessing.connection
import os
import random
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from forgetaudit.models.torchvision_repair import import_torchvision  # noqa: E402

# pip's torchvision breaks the image models of transformers beside a CPU torch.
import_torchvision()

from tests.hostile_models import KINDS, attacked, prepared, spoiled  # noqa: E402

# In memory where there is such a place: thousands of files a second are no wear for a disk.
MEMORY = Path("/dev/shm")  # noqa: S108
ONE_OF = 100


def fuzz_kind(kind: str, n_inputs: int, seed: int) -> int:
    """How many of the inputs of one kind were not caught."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-models-", dir=MEMORY if MEMORY.is_dir() else None))
    uncaught = 0
    try:
        sound = prepared(folder, kind)
        for number in range(n_inputs):
            try:
                attacked(folder, kind, spoiled(sound, kind, random.Random(f"{seed}-{kind}-{number}")))  # noqa: S311
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                uncaught += 1
                print(f"{kind}, input {number} of seed {seed}:")
                traceback.print_exc(limit=-4)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return uncaught


def _fuzz_and_leave(kind: str, n_inputs: int, seed: int) -> None:
    sys.exit(min(1, fuzz_kind(kind, n_inputs, seed)))


def fuzz(n_inputs: int, seed: int) -> int:
    """In how many kinds something was not caught."""
    each = max(1, n_inputs // ONE_OF // len(KINDS))
    waiting, running, failed = list(KINDS), {}, []
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            kind = waiting.pop()
            running[kind] = multiprocessing.get_context("spawn").Process(
                target=_fuzz_and_leave, args=(kind, each, seed)
            )
            running[kind].start()
        multiprocessing.connection.wait([process.sentinel for process in running.values()])
        for kind in [kind for kind, process in running.items() if not process.is_alive()]:
            if code := running.pop(kind).exitcode:
                failed.append(kind)
                print(f"{kind}: the process ended with {code}")
    print(f"{each * len(KINDS):,} inputs, {len(failed)} kinds with uncaught ones (seed {seed})")
    return len(failed)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    sys.exit(min(1, fuzz(*([*numbers, *(100_000, 0)[len(numbers) :]]))))

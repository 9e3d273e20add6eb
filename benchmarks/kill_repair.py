"""Kills `forgetaudit repair` (kill -9) at random moments while it writes: OUT must be absent, old or complete.

    python benchmarks/kill_repair.py [--times 50] [--force]

Each run is a process of its own on the sample, whose writing is slowed down by a larger checkpoint: a folder of 64 MB
in shards. The moment is drawn evenly from the time that one whole run takes to write.
"""

import argparse
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.checkpoints.placing import Place
from forgetaudit.remedies.remedy import Remedy
from forgetaudit.remedies.writing import Sources, repaired_values, write_repaired

N_SHARDS, SIDE = 8, 1448


def make(folder: Path, shift: float) -> Path:
    """A checkpoint of 64 MB in 8 shards, with files beside it."""
    folder.mkdir()
    weight_map = {}
    for number in range(N_SHARDS):
        shard = f"model-{number:05d}-of-{N_SHARDS:05d}.safetensors"
        save_file({f"layer{number}": torch.full((SIDE, SIDE), shift + number)}, folder / shard)
        weight_map[f"layer{number}"] = shard
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (folder / "config.json").write_text("{}")
    return folder


def write(base: Path, tuned: Path, out: Path, strength: float, *, force: bool) -> None:
    """As repair writes."""
    with open_checkpoint(base) as ours, open_checkpoint(tuned) as theirs:
        names = {name: name for name in theirs.tensors}
        sources = Sources(base=ours, tuned=theirs, base_names=names, slots=names)
        remedy = Remedy(name="one", family="mixture", strengths=dict.fromkeys(names, strength))
        with Place(out, "-o", force=force, folder=True).filling() as made:
            write_repaired(theirs, made, repaired_values(sources, remedy), folder=tuned)


def state(out: Path) -> str:
    """`absent`, or `complete at STRENGTH`; AssertionError for anything else."""
    if not out.exists():
        return "absent"
    assert {path.name for path in out.iterdir()} >= {"config.json", "model.safetensors.index.json"}
    found = {
        float(value)
        for number in range(N_SHARDS)
        for tensor in load_file(out / f"model-{number:05d}-of-{N_SHARDS:05d}.safetensors").values()
        for value in (tensor - number).unique()
    }
    assert len(found) == 1, f"{out} is mixed up: {found}"
    return f"complete at {found.pop():g}"


def killed(base: Path, tuned: Path, out: Path, seconds: float, *, force: bool) -> None:
    """Write in a child, and kill it after a while."""
    child = os.fork()
    if child == 0:
        write(base, tuned, out, 0.5, force=force)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def main() -> None:
    """Print how often OUT was left in which state."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--times", type=int, default=50)
    options.add_argument("--force", action="store_true", help="over a folder that is there")
    asked = options.parse_args()
    torch.set_num_threads(1)
    chance, seen, kept_for_next = random.Random(0), Counter[str](), 0
    with tempfile.TemporaryDirectory() as place:
        here = Path(place)
        base, tuned = make(here / "base", 0.0), make(here / "tuned", 1.0)
        start = time.perf_counter()
        write(base, tuned, here / "whole", 0.5, force=False)
        whole = time.perf_counter() - start
        for number in range(asked.times):
            out = here / f"out{number}"
            if asked.force:
                shutil.copytree(tuned, out)
            killed(base, tuned, out, chance.uniform(0, 1.2 * whole), force=asked.force)
            if asked.force and not out.exists():
                # Killed between the two renames: what was set aside is put back by whoever comes next.
                Place(out, "-o", force=True, folder=True)
                kept_for_next += 1
            seen[state(out)] += 1
            for left in here.glob(f".out{number}*"):
                shutil.rmtree(left)
            shutil.rmtree(out, ignore_errors=True)
    print(
        f"one whole write takes {whole:.2f} s; killed {asked.times} times at moments of 0 to {1.2 * whole:.2f} s"
    )
    for found, count in sorted(seen.items()):
        print(f"{count:>4}  {found}")
    if asked.force:
        print(f"{kept_for_next:>4}  of them put back by the next run")


if __name__ == "__main__":
    main()

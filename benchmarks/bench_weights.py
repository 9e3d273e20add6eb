"""CPU time of measure_weights, as ratios within one run: to reading the files, and to the obvious torch code.

    python benchmarks/bench_weights.py [--megabytes 400] [--repeats 5]

Two files of that size together are written to a temporary folder for each dtype: matrices of 2048 × 2048, the first
one bit-identical, the rest moved by 2e-3 of their spread. Every run is a process of its own with the page cache warm,
the methods take turns, imports are not timed; CPU time is user plus system time.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

METHODS = ("read", "forgetaudit", "torch")
SIDE = 2048


def main() -> None:
    options = _options()
    if options.method == "write":
        _write_pair(Path(options.folder), options.dtype, options.megabytes)
        return
    if options.method:
        print(json.dumps(_measured(options.method, Path(options.folder))))
        return
    for dtype in ("float32", "bfloat16"):
        with tempfile.TemporaryDirectory() as folder:
            # In another process: a child's peak memory would start from its parent's.
            _run(
                "--method",
                "write",
                "--folder",
                folder,
                "--dtype",
                dtype,
                "--megabytes",
                str(options.megabytes),
            )
            n_bytes = sum(path.stat().st_size for path in Path(folder).iterdir())
            _report(dtype, n_bytes, _runs(folder, options.repeats))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=400, help="both files together")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--method", choices=[*METHODS, "write"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--dtype", help=argparse.SUPPRESS)
    return parser.parse_args()


def _write_pair(folder: Path, dtype: str, megabytes: int) -> None:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    kept = getattr(torch, dtype)
    n_matrices = max(2, round(megabytes * 10**6 / 2 / (SIDE * SIDE * kept.itemsize)))
    base = {f"layers.{i}.weight": (torch.randn(SIDE, SIDE) * 0.02).to(kept) for i in range(n_matrices)}
    tuned = {name: (value.float() + 4e-5 * torch.randn(SIDE, SIDE)).to(kept) for name, value in base.items()}
    tuned["layers.0.weight"] = base["layers.0.weight"].clone()
    save_file(base, folder / "base.safetensors")
    save_file(tuned, folder / "tuned.safetensors")


def _runs(folder: str, repeats: int) -> dict[str, list[dict[str, float]]]:
    """The methods take turns, so that a busy machine hits all of them."""
    runs: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    for _ in range(repeats):
        for method in METHODS:
            runs[method].append(json.loads(_run("--method", method, "--folder", folder)))
    return runs


def _run(*arguments: str) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def _measured(method: str, folder: Path) -> dict[str, float]:
    run = {"read": _read, "forgetaudit": _forgetaudit, "torch": _torch}[method]
    paths = folder / "base.safetensors", folder / "tuned.safetensors"
    work = run(*paths)
    next(work)  # imports are not timed
    time.sleep(0.5)  # nor are the threads that OpenBLAS and OpenMP leave spinning after their import
    before, started = time.process_time(), time.perf_counter()
    next(work)
    return {
        "cpu_seconds": time.process_time() - before,
        "wall_seconds": time.perf_counter() - started,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _read(base: Path, tuned: Path):
    """The physical limit: the bytes of both files, once, into the same small buffers."""
    import os

    buffer = memoryview(bytearray(1 << 18))
    yield
    for path in (base, tuned):
        with path.open("rb") as file:
            for start in range(0, path.stat().st_size, len(buffer)):
                os.preadv(file.fileno(), [buffer], start)
    yield


def _forgetaudit(base: Path, tuned: Path):
    from forgetaudit.checkpoints.align import align
    from forgetaudit.checkpoints.formats import open_checkpoint
    from forgetaudit.weights.distance import measure_weights

    yield
    with open_checkpoint(base) as one, open_checkpoint(tuned) as two:
        measure_weights(one, two, align(one, two))
    yield


def _torch(base: Path, tuned: Path):
    """What one writes first: whole tensors, float32, norm and cosine."""
    import torch
    from safetensors import safe_open

    torch.set_num_threads(1)
    yield
    with safe_open(base, "pt") as one, safe_open(tuned, "pt") as two:
        for name in one.keys():  # noqa: SIM118
            a, b = one.get_tensor(name).float().flatten(), two.get_tensor(name).float().flatten()
            delta = b - a
            _ = float(delta.norm()), float(a.norm()), float(delta.abs().max()), torch.equal(a, b)
            _ = float(torch.nn.functional.cosine_similarity(a, b, dim=0))
    yield


def _report(dtype: str, n_bytes: int, runs: dict[str, list[dict[str, float]]]) -> None:
    print(
        f"{dtype}, {n_bytes / 1e6:.0f} MB in two files, n = {len(runs['read'])} runs each, median (min to max)"
    )
    ours = [run["cpu_seconds"] for run in runs["forgetaudit"]]
    for method in METHODS:
        cpu, wall = ([run[key] for run in runs[method]] for key in ("cpu_seconds", "wall_seconds"))
        ratios = [mine / theirs for mine, theirs in zip(ours, cpu, strict=True)]
        peak = max(run["peak_mib"] for run in runs[method])
        print(
            f"  {method:12} CPU {_spread(cpu)} s   wall {_spread(wall)} s   peak {peak:6.0f} MiB"
            f"   forgetaudit takes {_spread(ratios)} of it"
        )


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()

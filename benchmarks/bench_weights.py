"""measure_weights against reading the files, the obvious torch code, and two published tools; and how exact it is.

    python benchmarks/bench_weights.py [--megabytes 800] [--repeats 5] [--dtype float32] [--peers SITE_PACKAGES]

Two files of that size together are written to a temporary folder for each dtype: the matrices of a Llama of a billion
parameters, as many as fit; the embedding is bit-identical, the rest moved by 2e-3 of their spread. Every run is a
process of its own with the page cache warm, the methods take turns, imports are not timed. CPU time is user plus system
time and says most on a busy machine; `cat` is `cat A B > /dev/null`. The peers need a folder into which
`pip install --no-deps --target FOLDER weightscope modeldelta zstandard` put them; of modeldelta
the SVD is left out. Last, one tensor of 10⁸ elements is measured against float64.
"""

import argparse
import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

METHODS = ("cat", "forgetaudit", "torch")
PEERS = ("weightscope", "modeldelta")
EMBEDDING = (32_000, 2_048)
LAYER = {
    "self_attn.q_proj": (2_048, 2_048), "self_attn.k_proj": (256, 2_048), "self_attn.v_proj": (256, 2_048),
    "self_attn.o_proj": (2_048, 2_048), "mlp.gate_proj": (5_632, 2_048), "mlp.up_proj": (5_632, 2_048),
    "mlp.down_proj": (2_048, 5_632),
}  # fmt: skip
DTYPES = {"float32": "F32", "bfloat16": "BF16"}


def main() -> None:
    options = _options()
    if options.method == "write":
        _write_pair(Path(options.folder), options.dtype[0], options.megabytes)
        return
    if options.method:
        print(json.dumps(_measured(options.method, Path(options.folder), options.peers)))
        return
    methods = (*METHODS, *(PEERS if options.peers else ()))
    for dtype in options.dtype or DTYPES:
        with tempfile.TemporaryDirectory() as folder:
            # In another process: a child's peak memory would start from its parent's.
            size = ("--megabytes", str(options.megabytes))
            _run("--method", "write", "--folder", folder, "--dtype", dtype, *size)
            n_bytes = sum(path.stat().st_size for path in Path(folder).glob("*/*"))
            _report(dtype, n_bytes, _runs(folder, options.repeats, methods, options.peers))
    print(json.loads(_run("--method", "accuracy", "--folder", ""))["said"])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=800, help="both files together")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", action="append", choices=list(DTYPES))
    parser.add_argument("--peers", default="", help="where weightscope and modeldelta are installed")
    parser.add_argument("--method", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def _shapes(n_elements: int) -> dict[str, tuple[int, int]]:
    """The embedding, then layers until about `n_elements` are there."""
    shapes, n = {"model.embed_tokens.weight": EMBEDDING}, EMBEDDING[0] * EMBEDDING[1]
    for layer in range(10_000):
        for name, shape in LAYER.items():
            if n >= n_elements:
                return shapes
            shapes[f"model.layers.{layer}.{name}.weight"] = shape
            n += shape[0] * shape[1]
    return shapes


def _write_pair(folder: Path, dtype: str, megabytes: int) -> None:
    import torch

    torch.manual_seed(0)
    kept = getattr(torch, dtype)
    shapes = _shapes(round(megabytes * 10**6 / 2 / kept.itemsize))
    # Drawing a billion numbers takes longer than measuring them: two pools are drawn, and read from anywhere.
    pool, noise = torch.randn(1 << 25) * 0.02, torch.randn(1 << 25) * 4e-5
    for side in ("base", "tuned"):
        (folder / side).mkdir()
        with (folder / side / "model.safetensors").open("wb") as file:
            file.write(_header(shapes, dtype, kept.itemsize))
            for number, (name, (rows, columns)) in enumerate(shapes.items()):
                for start in range(0, rows * columns, 1 << 24):
                    n_here = min(1 << 24, rows * columns - start)
                    at = (number * 1_000_003 + start) % (1 << 24)
                    values = pool[at : at + n_here]
                    if side == "tuned" and "embed" not in name:
                        # From the rounded weights, as training starts from them.
                        values = values.to(kept).float() + noise[(at * 7) % (1 << 24) :][:n_here]
                    file.write(values.to(kept).view(torch.uint8).numpy().tobytes())


def _header(shapes: dict[str, tuple[int, int]], dtype: str, itemsize: int) -> bytes:
    header, end = {}, 0
    for name, (rows, columns) in shapes.items():
        begin, end = end, end + rows * columns * itemsize
        header[name] = {"dtype": DTYPES[dtype], "shape": [rows, columns], "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    return struct.pack("<Q", len(text)) + text


def _runs(folder: str, repeats: int, methods, peers: str) -> dict[str, list[dict[str, float]]]:
    """The methods take turns, so that a busy machine hits all of them."""
    runs: dict[str, list[dict[str, float]]] = {method: [] for method in methods}
    for _ in range(repeats):
        for method in methods:
            arguments = ("--method", method, "--folder", folder, "--peers", peers)
            runs[method].append(json.loads(_run(*arguments)))
    return runs


def _run(*arguments: str) -> str:
    """What it printed last: the peers print, too."""
    command = [sys.executable, __file__, *arguments]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return printed.splitlines()[-1] if printed else ""


def _measured(method: str, folder: Path, peers: str) -> dict[str, object]:
    if method == "accuracy":
        return {"said": _accuracy()}
    if peers:
        sys.path.append(peers)
    run = {
        "cat": _cat, "forgetaudit": _forgetaudit, "torch": _torch, "weightscope": _weightscope,
        "modeldelta": _modeldelta,
    }[method]  # fmt: skip
    work = run(folder / "base", folder / "tuned")
    next(work)  # imports are not timed
    time.sleep(0.5)  # nor are the threads that OpenBLAS and OpenMP leave spinning after their import
    before, started = _cpu_seconds(), time.perf_counter()
    next(work)
    return {
        "cpu_seconds": _cpu_seconds() - before,
        "wall_seconds": time.perf_counter() - started,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _cat(base: Path, tuned: Path):
    yield
    files = [str(folder / "model.safetensors") for folder in (base, tuned)]
    with Path(os.devnull).open("wb") as nowhere:
        subprocess.run(["cat", *files], stdout=nowhere, check=True)
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
    with (
        safe_open(base / "model.safetensors", "pt") as one,
        safe_open(tuned / "model.safetensors", "pt") as two,
    ):
        for name in one.keys():  # noqa: SIM118
            a, b = one.get_tensor(name).float().flatten(), two.get_tensor(name).float().flatten()
            delta = b - a
            _ = float(delta.norm()), float(a.norm()), float(delta.abs().max()), torch.equal(a, b)
            _ = float(torch.nn.functional.cosine_similarity(a, b, dim=0))
    yield


def _weightscope(base: Path, tuned: Path):
    import torch
    from weightscope.diff import diff_models

    torch.set_num_threads(1)
    yield
    diff_models(str(base), str(tuned))
    yield


def _modeldelta(base: Path, tuned: Path):
    """Its singular values, which take hours, replaced by ones."""
    import torch
    from modeldelta.core.weight_diff import compare_models
    from modeldelta.utils.model_loader import get_tensor_map

    torch.set_num_threads(1)
    torch.linalg.svdvals = lambda matrix: torch.ones(3)  # noqa: ARG005
    yield
    compare_models(get_tensor_map(str(base)), get_tensor_map(str(tuned)))
    yield


def _accuracy() -> str:
    """10⁸ elements, Δ a millionth of θ, and a thousandth."""
    import numpy as np
    from safetensors.numpy import save_file

    from forgetaudit.checkpoints.align import align
    from forgetaudit.checkpoints.formats import open_checkpoint
    from forgetaudit.weights.distance import measure_weights

    random, lines = np.random.default_rng(0), []
    base = random.standard_normal(10**8, dtype=np.float32) * np.float32(0.02)
    for relative in (1e-6, 1e-3):
        tuned = base + np.float32(0.02 * relative) * random.standard_normal(10**8, dtype=np.float32)
        squares, cross, delta_square = 0.0, 0.0, 0.0
        for start in range(0, 10**8, 10**6):
            a, b = (side[start : start + 10**6].astype(np.float64) for side in (base, tuned))
            squares, cross = squares + float(a @ a), cross + float(a @ (b - a))
            delta_square += float((b - a) @ (b - a))
        norm_a, norm_b = np.sqrt(squares), np.sqrt(squares + 2 * cross + delta_square)
        grown = (2 * cross + delta_square) / (norm_a + norm_b)
        exact = np.sqrt(delta_square), (delta_square - grown**2) / (2 * norm_a * norm_b)
        with tempfile.TemporaryDirectory() as folder:
            for side, values in (("base", base), ("tuned", tuned)):
                save_file({"w": values}, Path(folder) / f"{side}.safetensors")
            with (
                open_checkpoint(Path(folder) / "base.safetensors") as one,
                open_checkpoint(Path(folder) / "tuned.safetensors") as two,
            ):
                sums = measure_weights(one, two, align(one, two)).tensors[0].sums
        errors = [
            abs(got / want - 1)
            for got, want in zip((sums.distance, sums.one_minus_cosine), exact, strict=True)
        ]
        lines.append(f"Δ = {relative:g} θ: distance off by {errors[0]:.1e}, 1 − cos by {errors[1]:.1e}")
    return "10⁸ float32 elements against float64: " + "; ".join(lines)


def _report(dtype: str, n_bytes: int, runs: dict[str, list[dict[str, float]]]) -> None:
    print(
        f"{dtype}, {n_bytes / 1e6:.0f} MB in two files, n = {len(runs['cat'])} runs each, median (min to max)"
    )
    for method, several in runs.items():
        cpu, wall = ([run[key] for run in several] for key in ("cpu_seconds", "wall_seconds"))
        peak = max(run["peak_mib"] for run in several)
        print(f"  {method:12} CPU {_spread(cpu)} s   wall {_spread(wall)} s   peak {peak:6.0f} MiB")
    for method in [name for name in runs if name != "forgetaudit"]:
        for key, word in (("cpu_seconds", "CPU"), ("wall_seconds", "wall")):
            ratios = [
                theirs[key] / mine[key]
                for theirs, mine in zip(runs[method], runs["forgetaudit"], strict=True)
            ]
            print(f"  {method} takes {_spread(ratios)} times the {word} time of forgetaudit")


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()

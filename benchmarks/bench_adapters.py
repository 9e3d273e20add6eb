"""Peak memory of a pair of base and adapter, as a ratio to the bytes of base, with the weights measured and both run.

    python benchmarks/bench_adapters.py [--megabytes 1150]

A Llama of that size with seeded random weights (float32) and a LoRA of rank 8 on its query and value projections are
written to a temporary folder. Each method is a process of its own, and
what it needs before any weight is read is taken off.
"one" is base alone, loaded and run on 32 tokens; "pair" is what `forgetaudit compare` does with base and adapter;
"peft" is base and PEFT's own merged copy beside it. Claim: the pair takes at most 1.3 times what one model does.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

METHODS = ("one", "pair", "peft")
CLAIM = 1.3
WIDTH, VOCABULARY = 1024, 8192


def main() -> None:
    options = _options()
    if options.method == "write":
        _write(Path(options.folder), options.megabytes)
        return
    if options.method:
        print(json.dumps(_measured(options.method, Path(options.folder))))
        return
    with tempfile.TemporaryDirectory() as folder:
        _run("--method", "write", "--folder", folder, "--megabytes", str(options.megabytes))
        n_bytes = (Path(folder) / "base" / "model.safetensors").stat().st_size
        peaks = {
            method: json.loads(_run("--method", method, "--folder", folder))["mib"] for method in METHODS
        }
    print(f"base of {n_bytes / 2**20:.0f} MiB in float32, LoRA of rank 8 on query and value; one run each")
    for method, peak in peaks.items():
        print(f"  {method:5} {peak:6.0f} MiB above the imports, {peak / peaks['one']:.2f} × one model")
    ratio = peaks["pair"] / peaks["one"]
    print(
        f"  the pair takes {ratio:.2f} × one model: {'holds' if ratio <= CLAIM else 'BROKEN'} (claim {CLAIM})"
    )
    if ratio > CLAIM:
        raise SystemExit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1150)
    parser.add_argument("--method", choices=[*METHODS, "write"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(*arguments: str) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def _write(folder: Path, megabytes: int) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    # Of four square matrices and three of four times that, each layer.
    n_layers = max(2, round((megabytes * 10**6 / 4 - 2 * VOCABULARY * WIDTH) / (16 * WIDTH * WIDTH)))
    config = LlamaConfig(
        hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=n_layers, num_attention_heads=16,
        vocab_size=VOCABULARY,
    )  # fmt: skip
    network = LlamaForCausalLM(config)
    network.save_pretrained(folder / "base", max_shard_size="50GB")
    settings = LoraConfig(r=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    adapted = get_peft_model(network, settings)
    adapted.save_pretrained(folder / "adapter")
    path = folder / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": "../base"}))


def _measured(method: str, folder: Path) -> dict[str, float]:
    import torch

    torch.set_num_threads(1)
    work = {"one": _one, "pair": _pair, "peft": _peft}[method](folder)
    next(work)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    next(work)
    return {"mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def _batch():
    import torch

    from forgetaudit.data.batches import Batch

    return Batch(ids=("0",), kwargs={"input_ids": torch.arange(32)[None], "use_cache": False})


def _one(folder: Path):
    import torch

    from forgetaudit.checkpoints.formats import open_checkpoint
    from forgetaudit.models.evidence import find_evidence
    from forgetaudit.models.from_transformers import TransformersArchitecture

    architecture = TransformersArchitecture(find_evidence(folder / "base"))
    yield
    with open_checkpoint(folder / "base") as base, torch.no_grad():
        made = architecture.build(base, dtype=torch.float32, device=torch.device("cpu"), seed=0)
        made.model(**_batch().kwargs)
    yield


def _pair(folder: Path):
    from forgetaudit.audits.network import build_network
    from forgetaudit.audits.weight_diff import diff_weights
    from forgetaudit.engine.stream import Stream
    from forgetaudit.models.model_source import ModelSource
    from forgetaudit.plan import AuditPlan
    from forgetaudit.progress import SILENT

    plan = AuditPlan(base=folder / "base", tuned=(folder / "adapter",), names=("tuned",))
    family = ModelSource(plan)
    assert family.architecture
    import peft

    assert peft
    yield
    with family.open_base() as base, family.open_tuned(folder / "adapter") as tuned:
        diff_weights("tuned", base, tuned, plan.policy, SILENT)
        network = build_network(family.architecture, plan, base, {"tuned": tuned})
        for _ in Stream(network.skeleton, network.variants, layers=network.watched).run([_batch()]):
            pass
    yield


def _peft(folder: Path):
    """What one writes first: base, and beside it another whole network with the adapter merged into it."""
    import torch
    from peft import PeftModel
    from transformers import LlamaForCausalLM

    yield
    base = LlamaForCausalLM.from_pretrained(folder / "base")
    other = LlamaForCausalLM.from_pretrained(folder / "base")
    tuned = PeftModel.from_pretrained(other, folder / "adapter").merge_and_unload()
    with torch.no_grad():
        base(**_batch().kwargs)
        tuned(**_batch().kwargs)
    yield


if __name__ == "__main__":
    main()

"""Of two sets of weights one is read: which, stands on the first screen; a folder that is no checkpoint is named."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.cli import main
from forgetaudit.errors import UnreadableCheckpoint
from forgetaudit.gaps import Gap, gaps_in
from forgetaudit.models.adapter_files import open_adapter_weights

RAW = {"layer.weight": torch.ones(4, 4), "layer.bias": torch.zeros(4)}
EMA = {name: tensor + 1 for name, tensor in RAW.items()}


def gaps(path: Path, **choice: Any) -> tuple[Gap, ...]:
    with open_checkpoint(path, **choice) as checkpoint:
        return gaps_in(checkpoint.notes)


def first(path: Path, **choice: Any) -> float:
    with open_checkpoint(path, **choice) as checkpoint:
        out = bytearray(4)
        checkpoint.read("layer.weight", 0, memoryview(out))
        return float(torch.frombuffer(out, dtype=torch.float32))


def saved(path: Path, held: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(held, path)
    return path


def hint(path: Path) -> str:
    with pytest.raises(UnreadableCheckpoint) as refused:
        open_checkpoint(path)
    return str(refused.value.hint)


@pytest.mark.parametrize(
    "key", ["state_dict_ema", "model_ema", "ema_model", "ema", "ema_state_dict", "EMA", "swa_model"]
)
def test_averaged_weights_are_a_choice_that_is_said(tmp_path: Path, key: str) -> None:
    path = saved(tmp_path / "a.pt", {"state_dict": RAW, key: EMA, "epoch": 3})
    assert (first(path), first(path, weights="raw"), first(path, weights="ema")) == (1, 1, 2)
    (said,) = gaps(path)
    assert (said.ident, said.holds) == ("raw-or-averaged", "nothing")
    assert "raw weights under 'state_dict' were read" in said.what
    assert key in said.what
    (said,) = gaps(path, weights="ema")
    assert f"averaged weights (EMA) under {key!r} were read" in said.what


def test_averaged_weights_beside_raw_ones_at_the_top_are_seen_too(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", {**RAW, "ema": EMA})
    assert (first(path), first(path, weights="ema")) == (1, 2)
    assert "raw weights at the top of the file" in gaps(path)[0].what


def test_of_several_averages_none_is_guessed(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", {"model": RAW, "ema_0.99": EMA, "ema_0.999": EMA})
    assert "'ema_0.99', 'ema_0.999'" in gaps(path)[0].what
    with pytest.raises(UnreadableCheckpoint, match="2 sets of weights"):
        open_checkpoint(path, weights="ema")


def test_weights_of_something_else_in_the_file_hold_the_rules_on_weights(tmp_path: Path) -> None:
    (said,) = gaps(saved(tmp_path / "a.pt", {"model": RAW, "head": EMA}))
    assert (said.ident, said.holds) == ("other-sets-of-weights", "weights")
    assert "'head'" in said.what


def test_what_training_keeps_is_no_set_of_weights(tmp_path: Path) -> None:
    beside = {
        "optimizer": {"state": {0: EMA}},
        "rng_states": {"torch": torch.ones(4)},
        "scaler": {"a": torch.ones(1)},
    }
    assert gaps(saved(tmp_path / "a.pt", {"model": RAW, **beside})) == ()


def test_a_newer_file_of_weights_beside_is_said_with_its_age(tmp_path: Path) -> None:
    save_file(RAW, tmp_path / "model.safetensors")
    saved(tmp_path / "pytorch_model.bin", EMA)
    saved(tmp_path / "training_args.bin", {})
    os.utime(tmp_path / "model.safetensors", (1, 1))
    (said,) = gaps(tmp_path)
    assert (said.ident, said.holds) == ("other-weights-beside", "nothing")
    assert said.what == (
        "model.safetensors was read, and not pytorch_model.bin beside it; newer: pytorch_model.bin"
    )
    os.utime(tmp_path / "pytorch_model.bin", (0, 0))
    assert gaps(tmp_path)[0].what == "model.safetensors was read, and not pytorch_model.bin beside it"


def test_shards_beside_are_one_checkpoint_and_those_of_the_index_are_not_beside_it(tmp_path: Path) -> None:
    for at in (1, 2):
        save_file({f"a{at}": torch.ones(2)}, tmp_path / f"model-0000{at}-of-00002.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a1": "model-00001-of-00002.safetensors", "a2": "model-00002-of-00002.safetensors"}}'
    )
    assert gaps(tmp_path) == ()
    (tmp_path / "model.safetensors.index.json").unlink()
    assert "copy its index" in hint(tmp_path)
    save_file(RAW, tmp_path / "model.safetensors")
    assert "and not the shards of model beside it" in gaps(tmp_path)[0].what


def test_one_shard_is_not_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model-00001-of-00002.safetensors"
    save_file(RAW, path)
    (said,) = gaps(path)
    assert (said.ident, said.holds) == ("one-of-several-shards", "everything")
    save_file(RAW, tmp_path / "model-00001-of-00001.safetensors")
    assert gaps(tmp_path / "model-00001-of-00001.safetensors") == ()


def test_a_module_with_weights_behind_the_encoder_lets_nothing_pass(tmp_path: Path) -> None:
    save_file(RAW, tmp_path / "model.safetensors")
    (tmp_path / "modules.json").write_text(
        '[{"type": "sentence_transformers.models.Transformer", "path": ""},'
        ' {"type": "sentence_transformers.models.Dense", "path": "2_Dense"}]'
    )
    (tmp_path / "2_Dense").mkdir()
    assert gaps(tmp_path) == ()
    save_file(EMA, tmp_path / "2_Dense" / "model.safetensors")
    (said,) = gaps(tmp_path)
    assert (said.ident, said.holds) == ("module-not-read", "everything")


def test_a_run_is_named_with_a_checkpoint_and_the_command_that_follows_it(tmp_path: Path) -> None:
    for step in (500, 1500, 1000):
        saved(tmp_path / f"checkpoint-{step}" / "pytorch_model.bin", RAW)
    assert str(tmp_path / "checkpoint-1500") in hint(tmp_path)
    assert f"forgetaudit trace BASE {tmp_path}" in hint(tmp_path)


def test_several_adapters_are_named(tmp_path: Path) -> None:
    for name in ("math", "code"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text("{}")
    assert (
        hint(tmp_path) == f"these are adapters: name one of them: {tmp_path / 'code'} or {tmp_path / 'math'}"
    )


def test_an_adapter_with_others_in_its_folder_says_which_was_read(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "math"):
        folder.mkdir(exist_ok=True)
        (folder / "adapter_config.json").write_text("{}")
    save_file(RAW, tmp_path / "adapter_model.safetensors")
    with open_adapter_weights(tmp_path) as adapter:
        (said,) = gaps_in(adapter.notes)
    assert said.what == "adapter_model.safetensors was read, and not the adapter math beside it"


def test_the_parts_of_deepspeed_are_named_with_the_script_that_joins_them(tmp_path: Path) -> None:
    part = tmp_path / "global_step9" / "zero_pp_rank_0_mp_rank_00_model_states.pt"
    saved(part, {"module": RAW})
    saved(part.with_name("zero_pp_rank_0_mp_rank_00_optim_states.pt"), {})
    (tmp_path / "latest").write_text("global_step9")
    (tmp_path / "zero_to_fp32.py").touch()
    for path in (tmp_path, part.parent, part):
        assert f"python {tmp_path / 'zero_to_fp32.py'} {tmp_path} OUT" in hint(path)


def test_a_folder_of_the_cache_and_a_nested_one_name_what_they_hold(tmp_path: Path) -> None:
    saved(tmp_path / "models--a--b" / "snapshots" / "0f1e" / "pytorch_model.bin", RAW)
    assert hint(tmp_path / "models--a--b") == f"name {tmp_path / 'models--a--b' / 'snapshots' / '0f1e'}"
    (tmp_path / "run" / "pytorch_model_fsdp_0").mkdir(parents=True)
    (tmp_path / "run" / "pytorch_model_fsdp_0" / ".metadata").touch()
    assert hint(tmp_path / "run") == f"name {tmp_path / 'run' / 'pytorch_model_fsdp_0'}"
    (tmp_path / "nothing" / "docs").mkdir(parents=True)
    assert hint(tmp_path / "nothing").startswith("name the directory that holds")


def test_the_choice_stands_under_the_verdict_and_in_what_is_identical(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = saved(tmp_path / "base.pt", {"state_dict": RAW})
    tuned = saved(tmp_path / "tuned.pt", {"state_dict": RAW, "state_dict_ema": EMA})
    assert main(["weights", str(base), str(tuned)]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "note the raw weights under 'state_dict' were read" in words
    assert "every one bit-identical; but the raw weights under 'state_dict' were read" in words
    assert main(["weights", str(base), str(tuned), "--weights", "ema"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "note the averaged weights (EMA) under 'state_dict_ema' were read" in words
    assert "bit-identical" not in words


def test_a_choice_where_there_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, tuned = (str(saved(tmp_path / f"{name}.pt", {"state_dict": RAW})) for name in ("base", "tuned"))
    for words in (["weights", base, tuned], ["inspect", base], ["compare", base, tuned]):
        assert main([*words, "--weights", "ema"]) == 2
        assert "holds both raw weights and averaged ones" in capsys.readouterr().err

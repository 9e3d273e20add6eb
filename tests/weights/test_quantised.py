"""Quantised weights are the values that they stand for, by their library's rule, or named as what they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers.integrations.finegrained_fp8 import Fp8Dequantize

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.cli import main
from forgetaudit.judge.saved import load_report
from forgetaudit.report.report import AuditReport
from forgetaudit.weights.dequantise import as_values

# Quantised by bitsandbytes 0.50: nested nf4, fp4 and int8, of (137, 129); and every 97th value that it makes of them.
FILES = Path(__file__).parent / "quantised"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def values(path: Path, name: str, step: int = 4 * 1000) -> Tensor:
    """The tensor as it is read, in pieces that begin anywhere."""
    with open_checkpoint(path) as opened:
        seen = as_values(opened)
        info = seen.tensors[name]
        raw = np.empty(info.n_bytes, dtype=np.uint8)
        for start in range(0, info.n_bytes, step):
            seen.read(name, start, raw[start : start + step].data)
    return torch.from_numpy(raw.view("<f4").copy()).reshape(info.shape)


@pytest.mark.parametrize("name", ["nf4.weight", "fp4.weight", "int8.weight"])
def test_bitsandbytes_is_read_as_bitsandbytes_reads_it(name: str) -> None:
    expected = load_file(FILES / "values.safetensors")[name]
    found = values(FILES / "bitsandbytes.safetensors", name).reshape(-1)[::97]
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-7)


def fp8(shape: tuple[int, ...], *, dtype: torch.dtype = torch.float8_e4m3fn) -> Tensor:
    return (torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 50).to(dtype)


@pytest.mark.parametrize(
    ("shape", "scale"),
    [
        ((256, 384), (2, 3)),
        ((64, 96), (2, 3)),
        ((24, 40), (3, 5)),
        ((3, 32, 64), (3, 2, 2)),
        ((16, 8), (16, 1)),
    ],
)
def test_fp8_in_blocks_is_read_as_transformers_reads_it(
    shape: tuple[int, ...], scale: tuple[int, ...]
) -> None:
    codes, factors = fp8(shape), torch.rand(scale) + 0.5
    save_file({"l.weight": codes, "l.weight_scale_inv": factors}, "a.safetensors")
    library: Any = Fp8Dequantize(None)
    expected = torch.stack(
        [
            library._dequantize_one(one, of_one, torch.float32)
            for one, of_one in zip(
                codes.reshape(-1, *shape[-2:]), factors.reshape(-1, *scale[-2:]), strict=True
            )
        ]
    )
    torch.testing.assert_close(
        values(Path("a.safetensors"), "l.weight"), expected.reshape(shape), rtol=0, atol=0
    )


@pytest.mark.parametrize("shape", [(576, 256), (320, 128), (129, 257)])
def test_the_last_block_of_128_may_be_cut_off(shape: tuple[int, int]) -> None:
    codes, factors = fp8(shape), torch.rand(*(-(-n // 128) for n in shape)) + 0.5
    save_file({"l.weight": codes, "l.weight_scale_inv": factors}, "a.safetensors")
    wide = factors.repeat_interleave(128, 0).repeat_interleave(128, 1)[: shape[0], : shape[1]]
    torch.testing.assert_close(
        values(Path("a.safetensors"), "l.weight"), codes.float() * wide, rtol=0, atol=0
    )


@pytest.mark.parametrize("scale", [torch.tensor(0.5), torch.rand(16) + 1, torch.rand(16, 1) + 1])
@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.int8])
def test_one_scale_and_one_for_each_channel(scale: Tensor, dtype: torch.dtype) -> None:
    codes = fp8((16, 8), dtype=dtype)
    save_file({"l.weight": codes, "l.weight_scale": scale}, "a.safetensors")
    expected = codes.float() * (scale.reshape(-1, 1) if scale.ndim else scale)
    torch.testing.assert_close(values(Path("a.safetensors"), "l.weight"), expected, rtol=0, atol=0)


def judged(base: dict[str, Tensor], tuned: dict[str, Tensor], *words: str) -> AuditReport:
    rest = {f"norm{i}.weight": torch.ones(8) for i in range(6)}
    save_file({n: t.clone() for n, t in (base | rest).items()}, "base.safetensors")
    save_file({n: t.clone() for n, t in (tuned | rest).items()}, "tuned.safetensors")
    main(["weights", "base.safetensors", "tuned.safetensors", *words, "--output", "json=r.json"])
    return load_report(Path("r.json"))


def outcome(report: AuditReport) -> str:
    return report.verdict.rules[0].outcome


def test_random_fp8_is_far_and_fails() -> None:
    scale = {"l.weight_scale_inv": torch.full((2, 2), 0.01)}
    base, tuned = {"l.weight": fp8((256, 256))} | scale, {"l.weight": fp8((256, 256)).flip(0)} | scale
    report = judged(base, tuned, "--max-distance", "0.1")
    assert outcome(report) == "fail"
    (row,) = [row for row in report.weights[0].tensors if row.name == "l.weight"]  # type: ignore[index]
    assert row.distance == pytest.approx(
        float((base["l.weight"].float() - tuned["l.weight"].float()).norm() * 0.01), rel=1e-5
    )
    assert "l.weight_scale_inv" not in {row.name for row in report.weights[0].tensors}  # type: ignore[index]


def test_quantised_weights_are_compared_with_full_precision(capsys: pytest.CaptureFixture[str]) -> None:
    full = values(FILES / "bitsandbytes.safetensors", "nf4.weight")
    coded = {n: t for n, t in load_file(FILES / "bitsandbytes.safetensors").items() if n.startswith("nf4")}
    report = judged({"nf4.weight": 1.5 * full}, coded, "--max-distance", "0.5")
    (row,) = [row for row in report.weights[0].tensors if row.name == "nf4.weight"]  # type: ignore[index]
    assert row.relative == pytest.approx(1 / 3, rel=1e-5)
    assert outcome(report) == "pass"
    assert "codes-dequantised" in {found.id for found in report.findings}
    assert "bitsandbytes, 4 bits" in capsys.readouterr().out


def test_the_same_values_in_full_precision_are_a_cast_and_not_the_same_bytes() -> None:
    codes, scale = fp8((16, 8)), torch.tensor(0.5)
    report = judged({"l.weight": codes.float() * scale}, {"l.weight": codes, "l.weight_scale": scale})
    (row,) = [row for row in report.weights[0].tensors if row.name == "l.weight"]  # type: ignore[index]
    assert row.change == "cast"
    assert not report.weights[0].identical  # type: ignore[index]


U8, I32 = torch.arange(64, dtype=torch.uint8).reshape(8, 8), torch.arange(64, dtype=torch.int32).reshape(8, 8)
# Codes without a rule here, what belongs to them, and the word that names the method.
NAMED: dict[str, tuple[str, dict[str, Tensor]]] = {
    "GPTQ": ("l.qweight", {"l.qweight": I32, "l.qzeros": I32[:1], "l.scales": torch.ones(1, 8), "l.g_idx": I32[0]}),
    "AWQ": ("l.qweight", {"l.qweight": I32, "l.qzeros": I32[:1], "l.scales": torch.ones(1, 8)}),
    "MXFP4": ("e.gate_blocks", {"e.gate_blocks": U8, "e.gate_scales": U8[:, :1].clone()}),
    "HQQ": ("l.W_q", {"l.W_q": U8, "l.scale": torch.ones(8, 1), "l.zero": torch.ones(8, 1)}),
    "compressed-tensors": ("l.weight_packed", {"l.weight_packed": I32, "l.weight_scale": torch.ones(8, 1)}),
    "quanto": ("l.weight._data", {"l.weight._data": U8.to(torch.int8), "l.weight._scale": torch.ones(8, 1)}),
    "uint8 codes with scales": ("l.weight", {"l.weight": U8, "l.weight_scale": fp8((8, 1))}),
    "int8 codes with scales": ("l.weight", {"l.weight": U8.to(torch.int8), "l.weight_scale": torch.ones(8, 2)}),
    "blocks do not fit": ("l.weight", {"l.weight": fp8((200, 8)), "l.weight_scale_inv": torch.ones(4, 1)}),
    "parts do not fit": (
        "l.weight", {"l.weight": U8, "l.weight.absmax": torch.ones(2), "l.weight.quant_map": torch.ones(16)}
    ),
    "without their scales": ("l.weight", {"l.weight": U8.to(torch.int8)}),
    "float4_e2m1": ("l.weight", {"l.weight": U8.view(torch.float4_e2m1fn_x2)}),
}  # fmt: skip


@pytest.mark.parametrize("method", NAMED)
def test_codes_of_other_methods_are_named_and_nothing_passes_over_them(
    method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, tensors = NAMED[method]
    raw = tensors[name].view(torch.uint8).flip(0).contiguous().view(tensors[name].dtype)
    report = judged(tensors, tensors | {name: raw}, "--max-distance", "0.5")
    assert outcome(report) == "inconclusive"
    assert report.weights[0].total.not_compared == (name,)  # type: ignore[index]
    (note,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note")]
    assert name in note
    assert method in note


@pytest.mark.parametrize("method", NAMED)
def test_equal_codes_with_equal_scales_are_equal_weights(method: str) -> None:
    _, tensors = NAMED[method]
    assert outcome(judged(tensors, tensors, "--max-distance", "0.5")) == "pass"


@pytest.mark.parametrize("method", [m for m, (n, t) in NAMED.items() if len(t) > 1])
def test_equal_codes_with_other_scales_are_other_weights(method: str) -> None:
    name, tensors = NAMED[method]
    other = next(key for key in reversed(tensors) if key != name)
    moved = tensors | {
        other: tensors[other] + 1
        if tensors[other].dtype != torch.float8_e4m3fn
        else fp8((8, 1)).view(torch.uint8).flip(0).contiguous().view(torch.float8_e4m3fn)
    }
    report = judged(tensors, moved, "--max-distance", "0.5")
    assert outcome(report) == "inconclusive"
    assert outcome(judged(tensors, moved, "--frozen", name)) == "fail"


def test_a_base_in_full_precision_and_a_tuned_in_gptq_share_too_little_and_the_hint_says_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = {f"block{i}.weight": torch.randn(8, 8) for i in range(4)}
    coded = {f"block{i}.{key[2:]}": t.clone() for i in range(4) for key, t in NAMED["GPTQ"][1].items()}
    save_file(base, "base.safetensors")
    save_file(coded, "tuned.safetensors")
    assert main(["weights", "base.safetensors", "tuned.safetensors"]) == 2
    assert "quantised" in capsys.readouterr().err


def test_a_lora_on_a_quantised_base_reads_its_values() -> None:
    """The norm of base, which the relative distance is of, is that of the values."""
    codes, scale = fp8((16, 8)), torch.tensor(0.5)
    with open_checkpoint(
        _saved({"l.weight": codes, "l.weight_scale": scale, "l.input_scale": scale})
    ) as opened:
        seen = as_values(opened)
        assert sorted(seen.tensors) == ["l.input_scale", "l.weight"]
        assert seen.tensors["l.input_scale"].is_scale
        assert as_values(seen) is seen


def _saved(tensors: dict[str, Tensor]) -> Path:
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, "a.safetensors")
    return Path("a.safetensors")

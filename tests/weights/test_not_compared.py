"""A gate never passes over what was not compared, and says how much was."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from forgetaudit.checkpoints.checkpoint import DTYPE_BITS
from forgetaudit.checkpoints.header import _DTYPES
from forgetaudit.cli import main
from forgetaudit.judge.integrity import inconsistencies
from forgetaudit.judge.saved import load_report
from forgetaudit.report.report import AuditReport

LIMIT = "--max-distance", "0.5"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def net(**others: Tensor) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    found = {f"block{i}.weight": torch.randn(8, 8, generator=generator) for i in range(5)}
    return {**found, **{name.replace("__", "."): tensor for name, tensor in others.items()}}


def judged(base: dict[str, Tensor], tuned: dict[str, Tensor], *words: str) -> AuditReport:
    torch.save(base, "base.pt")
    torch.save(tuned, "tuned.pt")
    main(["weights", "base.pt", "tuned.pt", *words, "--output", "json=report.json"])
    report = load_report(Path("report.json"))
    assert list(inconsistencies(report)) == []
    return report


def outcome(report: AuditReport) -> tuple[str, str]:
    (rule,) = report.verdict.rules
    return rule.outcome, rule.reason


CODES = torch.arange(64, dtype=torch.uint8).reshape(8, 8)
# Base and tuned beside four equal matrices, which tensor is named, and the share of base's elements.
PARTS: dict[str, tuple[dict[str, Tensor], dict[str, Tensor], str, float]] = {
    "a layer that tuned lacks": (net(new__weight=torch.randn(8, 8)), net(), "new.weight", 5 / 6),
    "a layer that only tuned has": (net(), net(new__weight=torch.randn(8, 8)), "new.weight", 1.0),
    "another shape": (net(), net(block3__weight=torch.randn(8, 9)), "block3.weight", 4 / 5),
    "one empty shell": (net(), net(block3__weight=torch.empty(0)), "block3.weight", 4 / 5),
    "an empty shell of both": (
        net(block3__weight=torch.empty(0)), net(block3__weight=torch.empty(0)), "block3.weight", 1.0
    ),
    "packed bytes": (net(block3__weight=CODES), net(block3__weight=CODES + 1), "block3.weight", 4 / 5),
    "packed bytes against numbers": (net(), net(block3__weight=CODES), "block3.weight", 4 / 5),
    "integers of a matrix": (
        net(block3__qweight=CODES.int()), net(block3__qweight=CODES.int() + 1), "block3.qweight", 5 / 6
    ),
    "complex against real": (
        net(), net(block3__weight=torch.randn(8, 8, dtype=torch.complex64)), "block3.weight", 4 / 5
    ),
    "another vocabulary": (net(), net(block3__weight=torch.randn(9, 8)), "block3.weight", 4 / 5),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_no_distance_passes_over_it_and_the_first_screen_names_it(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    base, tuned, left, share = PARTS[name]
    report = judged(base, tuned, *LIMIT)
    assert outcome(report)[0] == "inconclusive"
    assert left in outcome(report)[1]
    total = report.weights[0].total  # type: ignore[index]
    assert total.not_compared == (left,)
    assert total.compared_share == pytest.approx(share * (64 * 5 / 64 / 5) if share < 1 else 1.0)
    screen = capsys.readouterr().out.splitlines()
    assert " of base's elements" in screen[1]
    assert screen[2].startswith("note  1 of ")
    assert left in screen[2]


@pytest.mark.parametrize("name", PARTS)
def test_a_frozen_rule_does_not_pass_over_it(name: str) -> None:
    base, tuned, left, _ = PARTS[name]
    assert outcome(judged(base, tuned, "--frozen", left))[0] in ("fail", "inconclusive")
    assert outcome(judged(base, tuned, "--frozen", "block0"))[0] == "pass"


def test_bytes_of_another_kind_are_unknown_and_not_called_changed() -> None:
    report = judged(net(), net(block3__weight=CODES), "--frozen", "block3")
    assert outcome(report) == (
        "inconclusive",
        "cannot pass: 1 of 1 tensors could not be compared: block3.weight",
    )


def test_a_layer_that_was_compared_is_judged_by_itself() -> None:
    text = '[gate.rules]\n"distance/block1" = { max = 0.5, level = "fail" }\n'
    Path("forgetaudit.toml").write_text(text)
    base, tuned, _, _ = PARTS["a layer that tuned lacks"]
    assert outcome(judged(base, tuned))[0] == "pass"


def test_what_was_compared_and_is_over_the_limit_fails_all_the_same() -> None:
    moved = {name: -tensor for name, tensor in net().items() if name != "block4.weight"}
    assert outcome(judged(net(), moved, *LIMIT))[0] == "fail"


def test_everything_compared_passes_and_nothing_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    report = judged(net(), {name: 1.01 * tensor for name, tensor in net().items()}, *LIMIT)
    assert outcome(report)[0] == "pass"
    assert report.weights[0].total.compared_share == 1.0  # type: ignore[index]
    assert "note" not in capsys.readouterr().out


@pytest.mark.parametrize("where", ["base", "tuned"])
def test_tied_weights_that_one_file_holds_twice_are_no_gap(where: str) -> None:
    twice = net(head__weight=net()["block0.weight"].clone())
    sides = (twice, net()) if where == "base" else (net(), twice)
    report = judged(*sides, *LIMIT)
    assert outcome(report)[0] == "pass"
    (row,) = [row for row in report.weights[0].tensors if row.name == "head.weight"]  # type: ignore[index]
    assert row.copy_of == "block0.weight"
    assert outcome(judged(*sides, "--frozen", "head"))[0] == "pass"


def test_tied_weights_that_both_files_hold_twice_count_once() -> None:
    """As torch saves them: one tensor under two names. safetensors holds it once, and says the same."""
    torch.manual_seed(1)
    base, tuned = ({n: t + moved for n, t in net().items()} for moved in (0.0, torch.tensor(0.1)))
    plain = judged(base, tuned).weights[0].total
    for state in (base, tuned):
        state |= {f"tied.{name}": tensor.clone() for name, tensor in state.items()}
    report = judged(base, tuned)
    assert report.weights[0].total.distance == plain.distance
    assert {row.copy_of for row in report.weights[0].tensors} == {None, *net()}


def test_equal_vectors_and_constants_are_no_tied_weights() -> None:
    ones = {"a__weight": torch.ones(8, 8), "b__weight": torch.ones(8, 8)}
    assert outcome(judged(net(**ones), net(a__weight=ones["a__weight"]), *LIMIT))[0] == "inconclusive"


@pytest.mark.parametrize("name", ["rotary.inv_freq", "attn.masked_bias"])
def test_buffers_that_code_makes_anew_are_no_gap(name: str) -> None:
    assert outcome(judged({**net(), name: torch.randn(8)}, net(), *LIMIT))[0] == "pass"


def test_masks_and_positions_are_no_parameters() -> None:
    buffers = {
        "h.attn.bias": torch.ones(1, 1, 8, 8),
        "position_ids": torch.arange(8)[None],
        "relative_position_index": torch.arange(64).reshape(8, 8),
        "mask": torch.ones(8, 8, dtype=torch.bool),
    }
    assert outcome(judged({**net(), **buffers}, net(), *LIMIT))[0] == "pass"


def test_complex_differences_are_of_moduli() -> None:
    turn = torch.randn(70_000, 2, dtype=torch.complex128)
    moved = turn + 0.1 * torch.randn(70_000, 2, dtype=torch.complex128)
    for dtype in (torch.complex64, torch.complex128, torch.complex32):
        a, b = turn.to(dtype), moved.to(dtype)
        report = judged(net(turn=a), net(turn=b), *LIMIT)
        (row,) = [row for row in report.weights[0].tensors if row.name == "turn"]  # type: ignore[index]
        wide = b.to(torch.complex128) - a.to(torch.complex128)
        assert row.distance == pytest.approx(float(wide.norm()), rel=1e-5)
        assert row.max_abs == pytest.approx(float(wide.abs().max()), rel=1e-6)
        assert row.changed_share == 1.0
        assert row.relative == pytest.approx(float(wide.norm() / a.to(torch.complex128).norm()), rel=1e-5)


def test_a_complex_number_with_one_broken_part_counts_once() -> None:
    turn = torch.randn(8, 8, dtype=torch.complex64)
    broken = turn.clone()
    broken[0, 0] = complex(float("nan"), float("nan"))
    broken[0, 1] = complex(1.0, float("inf"))
    report = judged(net(turn=turn), net(turn=broken), *LIMIT)
    (row,) = [row for row in report.weights[0].tensors if row.name == "turn"]  # type: ignore[index]
    assert row.n_nonfinite == 2
    assert outcome(report)[0] == "inconclusive"


def test_shells_of_zero3_are_refused_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    # ZeRO-3 keeps small parameters whole, such as biases and norms.
    biases = {f"block{i}.bias": torch.ones(8) for i in range(5)}
    save_file(net() | biases, "base.safetensors")
    save_file({name: torch.empty(0) for name in net()} | biases, "tuned.safetensors")
    assert main(["weights", "base.safetensors", "tuned.safetensors"]) == 2
    said = capsys.readouterr().err
    assert "5 of 10 tensors of tuned.safetensors are empty (0 elements)" in said
    assert "stage3_gather_16bit_weights_on_model_save" in said
    assert "zero_to_fp32.py" in said


def test_every_output_says_it() -> None:
    base, tuned, left, _ = PARTS["a layer that tuned lacks"]
    judged(base, tuned, *LIMIT, "--output", "md=r.md", "--output", "html=r.html", "--output", "csv=r.csv")
    for name in ("r.md", "r.html", "r.csv"):
        text = Path(name).read_text("utf-8")
        assert left in text, name
        assert "not compared" in text or "not_compared" in text, name
    found = json.loads(Path("report.json").read_text("utf-8"))
    (note,) = [one for one in found["findings"] if one["id"] == "tensors-not-compared"]
    assert (note["holds"], list(note["evidence"]["tensors"])) == ("tensors", [left])


def made_by_torch() -> dict[str, tuple[Tensor, Tensor]]:
    """Two tensors of other bytes, of every dtype that torch can save."""
    found = {}
    for dtype in {one for one in vars(torch).values() if isinstance(one, torch.dtype)}:
        try:
            size = torch.empty(0, dtype=dtype).element_size()
            raw = torch.full((8, 8 * size), 0x3F, dtype=torch.uint8)
            sides = raw.view(dtype), torch.zeros_like(raw).view(dtype)
            torch.save(sides, "probe.pt")
            torch.load("probe.pt", weights_only=True)
        except Exception:  # a dtype of which torch itself has no more than the name
            continue
        found[str(dtype)] = sides
    return found


def test_every_dtype_of_torch_is_measured_or_named(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = made_by_torch()
    assert len(pairs) > 20
    for dtype, (one, other) in pairs.items():
        torch.save(net(a__weight=one), "base.pt")
        torch.save(net(a__weight=other), "tuned.pt")
        code = main(
            ["weights", "base.pt", "tuned.pt", "--max-distance", "1e-46", "--output", "json=report.json"]
        )
        said = capsys.readouterr()
        if code == 2:
            assert dtype in said.err, dtype
            continue
        report = load_report(Path("report.json"))
        is_named = "a.weight" in said.out.splitlines()[2] and outcome(report)[0] == "inconclusive"
        assert is_named or outcome(report)[0] == "fail", dtype


@pytest.mark.parametrize("tag", list(_DTYPES))
def test_every_dtype_of_safetensors_is_measured_or_named(
    tag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    n_bytes = 64 * DTYPE_BITS[_DTYPES[tag]] // 8
    for name, byte in (("base", b"\x3f"), ("tuned", b"\0")):
        head = json.dumps({
            "a.weight": {"dtype": tag, "shape": [8, 8], "data_offsets": [0, n_bytes]},
            "b.weight": {"dtype": "F32", "shape": [8], "data_offsets": [n_bytes, n_bytes + 32]},
        }).encode()  # fmt: skip
        data = byte * n_bytes + b"\0\0\200\77" * 8
        Path(f"{name}.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + data)
    main(
        [
            "weights",
            "base.safetensors",
            "tuned.safetensors",
            "--max-distance",
            "1e-46",
            "--output",
            "json=r.json",
        ]
    )
    report = load_report(Path("r.json"))
    is_named = "a.weight" in capsys.readouterr().out.splitlines()[2] and outcome(report)[0] == "inconclusive"
    assert is_named or outcome(report)[0] == "fail"


def test_complex_matrices_have_no_spectrum_and_no_budget() -> None:
    """Both speak of real numbers."""
    turn = torch.randn(64, 64, dtype=torch.complex64)
    words = "--spectrum", "--optimizer", "adamw", "--lr", "1e-9", "--train-steps", "1"
    report = judged(net(turn__weight=turn), net(turn__weight=turn * 1.01), *words)
    assert "turn.weight" not in {row.tensor for row in report.weights[0].forensics.spectra}  # type: ignore[index,union-attr]
    assert not any(found.id == "log-refuted" for found in report.findings)


def test_quantised_matrices_have_no_budget() -> None:
    """Rounding moved them, and no optimizer."""
    codes, scale = (50 * torch.randn(64, 64)).to(torch.float8_e4m3fn), torch.tensor(0.5)
    coded = net(l__weight=codes, l__weight_scale=scale)
    plain = net(l__weight=codes.float() * scale * 1.01)
    report = judged(plain, coded, "--optimizer", "adamw", "--lr", "1e-9", "--train-steps", "1")
    assert not any(found.id == "log-refuted" for found in report.findings)

"""A LoRA adapter is measured from its factors, and the numbers are those of the product it stands for."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from forgetaudit.cli import main
from forgetaudit.judge.saved import load_report
from forgetaudit.report.report import AuditReport
from forgetaudit.weights.low_rank import LowRank, LowRankSums

FIXTURES = Path(__file__).parents[1] / "fixtures"


def factors(n_rows: int, n_columns: int, rank: int, scale: float = 0.5) -> LowRank:
    random = np.random.default_rng(0)
    return LowRank(a=random.normal(size=(rank, n_columns)), b=random.normal(size=(n_rows, rank)), scale=scale)


@pytest.mark.parametrize("shape", [(300, 70), (70, 300), (9, 9)])
def test_norm_and_singular_values_are_those_of_the_product(shape: tuple[int, int]) -> None:
    delta = factors(*shape, rank=8)
    values = np.linalg.svd(delta.rows(0, shape[0]), compute_uv=False)
    assert delta.singular_values == pytest.approx(values[:8], rel=1e-10)
    assert delta.norm == pytest.approx(np.linalg.norm(delta.rows(0, shape[0])), rel=1e-12)
    assert delta.rank == 8


def test_a_negative_scale_changes_no_singular_value_and_dead_directions_no_rank() -> None:
    delta = factors(30, 20, 4)
    turned = LowRank(a=delta.a, b=delta.b, scale=-delta.scale)
    assert turned.singular_values == pytest.approx(delta.singular_values)
    delta.b[:, 3] = 0
    assert LowRank(a=delta.a, b=delta.b, scale=1).rank == 3


def test_sums_against_base_are_those_of_the_merged_weights() -> None:
    delta = factors(700, 50, 4, scale=0.01)
    base = np.random.default_rng(1).normal(size=(700, 50))
    sums = LowRankSums(delta)
    for start in range(0, 700, sums.rows_at_a_time()):
        sums.update(base[start : start + sums.rows_at_a_time()])
    found, merged = sums.sums(), base + delta.rows(0, 700)
    assert found.distance == pytest.approx(np.linalg.norm(merged - base), rel=1e-10)
    assert found.relative == pytest.approx(np.linalg.norm(merged - base) / np.linalg.norm(base), rel=1e-10)
    cosine = np.vdot(base, merged) / np.linalg.norm(base) / np.linalg.norm(merged)
    assert found.one_minus_cosine == pytest.approx(1 - cosine, rel=1e-8)
    assert found.max_abs == pytest.approx(np.abs(merged - base).max())
    assert found.n_changed == 700 * 50


def weigh(tmp_path: Path, *words: object) -> AuditReport:
    out = tmp_path / "report.json"
    assert main(["weights", *map(str, words), "--no-config", "--quiet", "--output", f"json={out}"]) == 0
    return load_report(out)


@pytest.mark.parametrize("family", ["llama"])
def test_unmerged_and_merged_lora_are_equally_far_from_base(tmp_path: Path, family: str) -> None:
    folder = FIXTURES / family
    apart, merged = (
        weigh(tmp_path, folder / "base", folder / name).weights[0]  # type: ignore[index]
        for name in ("lora", "lora-merged")
    )
    assert apart.total.relative == pytest.approx(merged.total.relative, rel=1e-5)
    assert apart.total.one_minus_cosine == pytest.approx(merged.total.one_minus_cosine, rel=1e-4)
    distances = {row.name: row.distance for row in merged.tensors}
    assert {row.name: pytest.approx(row.distance, rel=1e-5, abs=1e-9) for row in apart.tensors} == distances


@pytest.mark.parametrize("adapter", ["llama/rslora", "llama/lora-bias-modules", "gpt2/lora"])
def test_every_kind_of_lora_is_as_far_as_peft_merges_it(tmp_path: Path, adapter: str) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = FIXTURES / adapter.split("/")[0] / "base"
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    before = {name: value.double().clone() for name, value in model.state_dict().items()}
    merged = PeftModel.from_pretrained(model, FIXTURES / adapter).merge_and_unload().state_dict()
    section = weigh(tmp_path, base, FIXTURES / adapter).weights[0]  # type: ignore[index]
    for row in section.tensors:
        if row.change != "identical":
            expected = float((merged[row.name].double() - before[row.name]).norm())
            assert row.distance == pytest.approx(expected, rel=1e-4), row.name
    moved = {name for name, value in merged.items() if not torch.equal(value.double(), before[name])}
    assert {row.name for row in section.tensors if row.change != "identical"} >= moved - {"lm_head.weight"}


def test_an_adapter_alone_has_a_length_and_says_that_nothing_is_there_to_compare(tmp_path: Path) -> None:
    section = weigh(tmp_path, FIXTURES / "llama" / "lora").weights[0]  # type: ignore[index]
    tensors = load_file(FIXTURES / "llama" / "lora" / "adapter_model.safetensors")
    prefix = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    product = 2 * tensors[f"{prefix}B.weight"].double() @ tensors[f"{prefix}A.weight"].double()
    row = next(row for row in section.tensors if row.name == "model.layers.0.self_attn.q_proj.weight")
    assert row.distance == pytest.approx(float(product.norm()), rel=1e-10)
    assert row.relative.not_measured == "no base was passed"  # type: ignore[union-attr]


def test_dora_alone_is_refused_and_on_its_base_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", str(FIXTURES / "llama" / "dora")]) == 2
    assert "depends on its base" in capsys.readouterr().err
    section = weigh(tmp_path, FIXTURES / "llama" / "base", FIXTURES / "llama" / "dora").weights[0]  # type: ignore[index]
    assert section.total.relative == pytest.approx(0.114, abs=0.01)


def copied(tmp_path: Path, family: str = "llama", **changes: object) -> Path:
    source, folder = FIXTURES / family / "lora", tmp_path / "adapter"
    folder.mkdir(parents=True)
    config = json.loads((source / "adapter_config.json").read_text()) | changes
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file(load_file(source / "adapter_model.safetensors"), folder / "adapter_model.safetensors")
    return folder


def test_alpha_of_a_module_of_its_own_is_taken(tmp_path: Path) -> None:
    base = FIXTURES / "llama" / "base"
    plain = weigh(tmp_path, base, FIXTURES / "llama" / "lora").weights[0]  # type: ignore[index]
    doubled = weigh(tmp_path, base, copied(tmp_path, alpha_pattern={"q_proj": 16})).weights[0]  # type: ignore[index]
    before = {row.name: row.distance for row in plain.tensors}
    for row in doubled.tensors:
        assert row.distance == pytest.approx(before[row.name] * (2 if "q_proj" in row.name else 1))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {"alpha_pattern": {"^q_proj": 400}}),  # means a module at the top, of which there is none
        ("llama", {"alpha_pattern": {"q_proj": 40}}),
        ("llama", {"alpha_pattern": {"^model.layers.0.self_attn.q_proj": 40}}),
        ("llama", {"alpha_pattern": {"layers.0.self_attn.q_proj": 40, "q_proj": 2}}),
        ("llama", {"alpha_pattern": {"proj": 40}}),
        ("llama", {"alpha_pattern": {"q_proj$": 40}}),
        ("llama", {"alpha_pattern": {".*q_proj": 40}}),
        ("llama", {"alpha_pattern": {r"layers\.(0|1)\.self_attn\.v_proj": 40}}),
        ("llama", {"alpha_pattern": {"self.attn.q.proj": 40}}),
        ("llama", {"alpha_pattern": {"q_proj": 40}, "use_rslora": True}),
        ("llama", {"exclude_modules": ["k_proj"], "use_rslora": True}),
        ("gpt2", {"fan_in_fan_out": False}),
        ("gpt2", {"alpha_pattern": {"c_attn": 40}}),
    ],
)
def test_the_scale_of_every_module_is_the_one_that_peft_gives_it(
    tmp_path: Path, family: str, changes: dict[str, object]
) -> None:
    from peft import PeftModel
    from peft.tuners.lora.layer import LoraLayer
    from transformers import AutoModelForCausalLM

    base, adapter = FIXTURES / family / "base", copied(tmp_path, family, **changes)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(model, adapter)
    wanted = {
        path.removeprefix("base_model.model.") + ".weight": (
            module.get_delta_weight("default").double(),
            module.get_base_layer().weight.double(),
        )
        for path, module in adapted.named_modules()
        if isinstance(module, LoraLayer)
    }
    section = weigh(tmp_path, base, adapter).weights[0]  # type: ignore[index]
    found = {row.name: row for row in section.tensors if row.change != "identical"}
    assert found.keys() == wanted.keys()
    for name, (delta, before) in wanted.items():
        assert found[name].distance == pytest.approx(float(delta.norm()), rel=1e-5), name
        cosine = torch.nn.functional.cosine_similarity(before.flatten(), (before + delta).flatten(), dim=0)
        assert found[name].one_minus_cosine == pytest.approx(1 - float(cosine), rel=1e-3, abs=1e-9), name


@pytest.mark.parametrize("command", ["weights", "inspect"])
def test_an_adapter_on_bare_parameters_is_refused_by_that_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    adapter = copied(tmp_path, target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"])
    paths = [str(FIXTURES / "llama" / "base")] if command == "weights" else []
    assert main([command, *paths, str(adapter)]) == 2
    said = capsys.readouterr().err
    assert "target_parameters (2): mlp.experts.gate_up_proj, mlp.experts.down_proj" in said
    assert "hint: merge it first: model.merge_and_unload()" in said


def test_a_setting_that_is_not_known_is_left_to_peft(tmp_path: Path) -> None:
    from forgetaudit.audits.adapter_weights import is_lora

    assert is_lora(copied(tmp_path / "a"))
    assert not is_lora(copied(tmp_path / "b", use_something_new=True))
    assert is_lora(copied(tmp_path / "c", use_something_new=False))
    assert not is_lora(copied(tmp_path / "d", lora_alpha=None))


def test_an_adapter_of_another_base_finds_no_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", str(FIXTURES / "gpt2" / "base"), str(FIXTURES / "llama" / "lora")]) == 2
    assert "4 of its 4 tensors find no place" in capsys.readouterr().err


def test_a_factor_without_the_other_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copied(tmp_path)
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file(
        {name: value for name, value in tensors.items() if "q_proj.lora_B" not in name},
        folder / "adapter_model.safetensors",
    )
    assert main(["weights", str(FIXTURES / "llama" / "base"), str(folder)]) == 2
    assert "lacks one of the two factors" in capsys.readouterr().err


def test_one_checkpoint_that_is_no_adapter_is_not_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", str(FIXTURES / "llama" / "base")]) == 2
    assert "TUNED is missing" in capsys.readouterr().err

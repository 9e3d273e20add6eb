"""An adapter looks like the whole checkpoint that PEFT would merge, and an adapter that finds no place is refused."""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import (
    DeloraConfig,
    FrodConfig,
    HRAConfig,
    IA3Config,
    LNTuningConfig,
    LoraConfig,
    OSFConfig,
    PeftModel,
    PsoftConfig,
    VeraConfig,
    get_peft_model,
)
from safetensors.torch import load_file, save_file
from tests.models import tiny

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import AuditError, MismatchError
from forgetaudit.models.adapters import AdaptedCheckpoint
from forgetaudit.models.architecture import Graft
from forgetaudit.models.evidence import find_evidence
from forgetaudit.models.from_transformers import TransformersArchitecture
from forgetaudit.models.loading import read_tensor
from forgetaudit.models.model_source import ModelSource
from forgetaudit.plan import AuditPlan

RANDOM = {"r": 4, "init_lora_weights": False}
KINDS = {
    "lora": LoraConfig(target_modules=["q_proj", "v_proj"], **RANDOM),
    "dora": LoraConfig(target_modules=["q_proj", "down_proj"], use_dora=True, **RANDOM),
    "rslora": LoraConfig(
        target_modules="all-linear", use_rslora=True, rank_pattern={"q_proj": 2}, alpha_pattern={"v_proj": 3}, **RANDOM
    ),
    "saved modules": LoraConfig(target_modules=["q_proj"], modules_to_save=["lm_head"], **RANDOM),
    "embedding": LoraConfig(target_modules=["embed_tokens", "q_proj"], **RANDOM),
    "tokens": LoraConfig(target_modules=["q_proj"], trainable_token_indices=[1, 2], **RANDOM),
    "one layer": LoraConfig(target_modules=["q_proj"], layers_to_transform=[1], **RANDOM),
    "biases": LoraConfig(target_modules=["q_proj"], bias="all", **RANDOM),
    "own biases": LoraConfig(target_modules=["q_proj"], bias="lora_only", **RANDOM),
    "ia3": IA3Config(
        target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"], init_ia3_weights=False
    ),
    "a copy of the layer": LNTuningConfig(target_modules=["input_layernorm"]),
    "vera": VeraConfig(target_modules=["q_proj"], r=4),
    "hra": HRAConfig(target_modules=["q_proj"], r=2),
    "delora": DeloraConfig(target_modules=["q_proj"], r=2),
    # These take base's own weights apart when they are made.
    "osf": OSFConfig(target_modules=["q_proj"], effective_rank=4),
    "psoft": PsoftConfig(target_modules=["q_proj"], r=4),
    "frod": FrodConfig(target_modules=["q_proj"]),
}  # fmt: skip

# The others are solved for anew, in another order of the same sums.
EXACT = KINDS.keys() - {"osf", "psoft", "frod"}


def saved_adapter(base: Path, folder: Path, config: Any) -> Path:
    """An adapter on the tiny Llama at `base`, everything that trains moved away from where it began."""
    adapted = get_peft_model(tiny.llama().from_pretrained(base), copy.deepcopy(config))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    tiny.llama(attention_bias=True).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def lora(base: Path, tmp_path: Path) -> Path:
    return saved_adapter(base, tmp_path / "adapter", KINDS["lora"])


@contextmanager
def opened(base: Path, adapter: Path) -> Iterator[AdaptedCheckpoint]:
    with open_checkpoint(base) as weights:
        yield TransformersArchitecture(find_evidence(base)).adapted(weights, adapter)


def refused(base: Path, adapter: Path) -> str:
    with pytest.raises(AuditError) as problem, opened(base, adapter):
        pass
    return str(problem.value)


def change(adapter: Path, **settings: Any) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_every_tensor_is_that_of_pefts_own_merge(kind: str, base: Path, tmp_path: Path) -> None:
    adapter = saved_adapter(base, tmp_path / "adapter", KINDS[kind])
    expected = PeftModel.from_pretrained(tiny.llama().from_pretrained(base), adapter).merge_and_unload()
    with opened(base, adapter) as found:
        assert found.tensors.keys() == load_file(base / "model.safetensors").keys()
        for name, tensor in expected.state_dict().items():
            torch.testing.assert_close(read_tensor(found, name), tensor, rtol=0, atol=1e-6, msg=name)
            if kind in EXACT:
                assert torch.equal(read_tensor(found, name), tensor), name


@pytest.mark.filterwarnings("ignore")
def test_a_transposed_layer_of_gpt2_is_merged_as_peft_does(tmp_path: Path) -> None:
    tiny.gpt2().save_pretrained(tmp_path / "base")
    network = tiny.gpt2().from_pretrained(tmp_path / "base")
    config = LoraConfig(target_modules=["c_attn"], fan_in_fan_out=True, **RANDOM)
    adapted = get_peft_model(network, config)
    adapted.save_pretrained(tmp_path / "adapter")
    with opened(tmp_path / "base", tmp_path / "adapter") as found:
        merged = adapted.merge_and_unload().state_dict()
        assert torch.equal(
            read_tensor(found, "transformer.h.0.attn.c_attn.weight"),
            merged["transformer.h.0.attn.c_attn.weight"],
        )


def test_a_head_trained_apart_from_the_embedding_it_was_tied_to_goes_under_its_own_name(
    tmp_path: Path,
) -> None:
    tiny.gpt2().save_pretrained(tmp_path / "base")
    network = tiny.gpt2().from_pretrained(tmp_path / "base")
    config = LoraConfig(target_modules=["c_attn"], modules_to_save=["lm_head"], fan_in_fan_out=True, **RANDOM)
    adapted = get_peft_model(network, config)
    with torch.no_grad():
        adapted.base_model.model.lm_head.modules_to_save["default"].weight.add_(1)
    adapted.save_pretrained(tmp_path / "adapter")
    with opened(tmp_path / "base", tmp_path / "adapter") as found:
        embedding, head = (read_tensor(found, name) for name in ("transformer.wte.weight", "lm_head.weight"))
        assert torch.equal(
            embedding, load_file(tmp_path / "base" / "model.safetensors")["transformer.wte.weight"]
        )
        assert torch.equal(head, embedding + 1)


def classifier_adapter(folder: Path, labels: int) -> Path:
    """LoRA on a BERT with a head of so many classes, as PEFT saves it for sequence classification."""
    tiny.bert().save_pretrained(folder / "base")
    network = tiny.bert().from_pretrained(folder / "base", num_labels=labels, ignore_mismatched_sizes=True)
    config = LoraConfig(task_type="SEQ_CLS", target_modules=["query"], **RANDOM)
    get_peft_model(network, config).save_pretrained(folder / "adapter")
    return folder / "adapter"


def test_a_classifier_that_came_with_the_adapter_replaces_bases(tmp_path: Path) -> None:
    adapter = classifier_adapter(tmp_path, labels=2)
    saved = load_file(adapter / "adapter_model.safetensors")["base_model.model.classifier.weight"]
    with opened(tmp_path / "base", adapter) as found:
        assert torch.equal(read_tensor(found, "classifier.weight"), saved)


def test_a_classifier_of_other_classes_is_a_matter_of_the_head_and_not_of_the_adapter(tmp_path: Path) -> None:
    adapter = classifier_adapter(tmp_path, labels=5)
    made = TransformersArchitecture(find_evidence(tmp_path / "base"))
    on_cpu = {"dtype": torch.float32, "device": torch.device("cpu")}
    with open_checkpoint(tmp_path / "base") as weights, made.adapted(weights, adapter) as found:
        assert found.tensors["classifier.weight"].shape == (5, 16)
        skeleton = made.build(weights, **on_cpu, seed=0)
        graft = Graft(names={"classifier.weight", "classifier.bias"}, base=skeleton.base.state)
        assert set(made.load(skeleton.model, found, **on_cpu, graft=graft).grafted) == graft.names
        with pytest.raises(MismatchError, match="does not fit the model"):
            made.load(skeleton.model, found, **on_cpu)


def test_the_network_answers_as_the_adapter_does(base: Path, lora: Path) -> None:
    tokens = torch.arange(10)[None]
    adapted = PeftModel.from_pretrained(tiny.llama().from_pretrained(base), lora).eval()
    made = TransformersArchitecture(find_evidence(base))
    with open_checkpoint(base) as weights, made.adapted(weights, lora) as found, torch.no_grad():
        on_cpu = {"dtype": torch.float32, "device": torch.device("cpu")}
        skeleton = made.build(weights, **on_cpu, seed=0)
        state = made.load(skeleton.model, found, **on_cpu).state
        skeleton.model.load_state_dict(state)
        torch.testing.assert_close(skeleton.model(tokens).logits, adapted(tokens).logits, atol=1e-5, rtol=0)


def test_a_pair_shares_in_memory_what_the_adapter_leaves_alone(base: Path, lora: Path) -> None:
    made = TransformersArchitecture(find_evidence(base))
    with open_checkpoint(base) as weights, made.adapted(weights, lora) as found:
        on_cpu = {"dtype": torch.float32, "device": torch.device("cpu")}
        skeleton = made.build(weights, **on_cpu, seed=0)
        state = made.load(skeleton.model, found, **on_cpu).state
        apart = {name for name, tensor in state.items() if tensor is not skeleton.base.state[name]}
    assert apart == {f"model.layers.{layer}.self_attn.{key}_proj.weight" for layer in (0, 1) for key in "qv"}


def test_bfloat16_weights_are_merged_in_float32(base: Path, lora: Path) -> None:
    path = base / "model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(path).items()}, path)
    with opened(base, lora) as found:
        assert found.tensors["model.layers.0.self_attn.q_proj.weight"].dtype == "float32"
        assert found.tensors["model.layers.0.self_attn.k_proj.weight"].dtype == "bfloat16"


def test_an_adapter_none_of_whose_tensors_finds_a_module_is_refused(base: Path, lora: Path) -> None:
    path = lora / "adapter_model.safetensors"
    save_file({name.replace("base_model.model.", "wrong."): t for name, t in load_file(path).items()}, path)
    said = refused(base, lora)
    assert "8 of its 8 tensors find no module" in said
    assert "wrong.model.layers.0.self_attn.q_proj.lora_A" in said


def test_an_adapter_that_lacks_a_tensor_is_refused(base: Path, lora: Path) -> None:
    path = lora / "adapter_model.safetensors"
    tensors = load_file(path)
    tensors.pop("base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight")
    save_file(tensors, path)
    assert "missing in the adapter (1): base_model.model.model.layers.1.self_attn.v_proj.lora_B" in refused(
        base, lora
    )


def test_an_adapter_of_another_width_is_refused_with_what_peft_says(base: Path, lora: Path) -> None:
    path = lora / "adapter_model.safetensors"
    save_file({name: torch.ones(7, 7) for name in load_file(path)}, path)
    assert "does not fit base" in refused(base, lora)


def test_an_adapter_whose_base_is_another_is_refused(base: Path, lora: Path, tmp_path: Path) -> None:
    tiny.llama(seed=5, attention_bias=True).save_pretrained(tmp_path / "stranger")
    said = refused(tmp_path / "stranger", lora)
    assert "was trained on another base" in said
    assert f"pass {base} as BASE" in said


def test_a_base_that_is_not_here_is_only_named(base: Path, lora: Path) -> None:
    change(lora, base_model_name_or_path="someone/no-such-model")
    with opened(base, lora) as found:
        assert "its config names someone/no-such-model as its base, which is not here" in found.notes[0]
        assert "4 tensors merged in float32" in found.notes[1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "changes no weights but adds inputs"),
        ({"peft_type": None}, "names no peft_type"),
        ({"peft_type": "NO_SUCH_KIND"}, "does not fit base"),
        ({"init_lora_weights": "pissa_niter_16"}, "changes base's own weights"),
        ({"alora_invocation_tokens": [1]}, "which acts only after certain tokens"),
        ({"layer_replication": [[0, 2]]}, "which repeats layers of base"),
        ({"r": "four"}, "does not fit base"),
        ({"target_modules": ["nothing_here"]}, "does not fit base"),
    ],
)
def test_configs_that_cannot_become_weights_are_refused(
    base: Path, lora: Path, settings: dict[str, Any], said: str
) -> None:
    change(lora, **settings)
    assert said in refused(base, lora)


def test_a_module_that_the_config_names_is_not_imported(
    base: Path, lora: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "evil_core.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(tmp_path)
    change(
        lora,
        megatron_core="evil_core",
        megatron_config={"a": 1},
        auto_mapping={"parent_library": "evil_core"},
    )
    with opened(base, lora):
        pass


def test_a_folder_without_the_adapters_weights_is_said_to_lack_them(base: Path, lora: Path) -> None:
    (lora / "adapter_model.safetensors").unlink()
    assert "holds a PEFT adapter without weights" in refused(base, lora)


def plan(base: Path, *tuned: Path) -> AuditPlan:
    return AuditPlan(base=base, tuned=tuned, names=tuple(f"tuned{index}" for index in range(len(tuned))))


def test_an_adapter_as_base_lies_on_the_base_that_it_names(base: Path, lora: Path) -> None:
    family = ModelSource(plan(lora, base))
    with family.open_base() as found, family.open_tuned(base) as tuned:
        assert family.architecture.name == "LlamaForCausalLM"
        name = "model.layers.0.self_attn.q_proj.weight"
        assert not torch.equal(read_tensor(found, name), read_tensor(tuned, name))


def test_an_adapter_as_base_whose_own_base_is_not_here_is_refused(lora: Path) -> None:
    change(lora, base_model_name_or_path="someone/no-such-model")
    with pytest.raises(AuditError, match="someone/no-such-model, which is not on this machine"):
        ModelSource(plan(lora)).open_base()


def test_an_adapter_needs_a_network_that_the_library_built(base: Path, lora: Path) -> None:
    (base / "config.json").unlink()
    family = ModelSource(plan(base, lora))
    with family.open_base(), pytest.raises(AuditError, match="nothing says which network"):
        family.open_tuned(lora)

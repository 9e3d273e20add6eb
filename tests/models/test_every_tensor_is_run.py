"""Every variant is run as its own files and library would run it; a tensor that is not run is a gap.

The truth is transformers' `from_pretrained` and PEFT's `PeftModel`, on the same tokens, in the same dtype.
"""

import json
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tests.models import tiny
from torch import Tensor, nn

from forgetaudit.audits.align_by_model import align_through_model
from forgetaudit.audits.network import Network, build_network
from forgetaudit.audits.repair.writing import refuse_tied, sources_of
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.engine.variants import slots
from forgetaudit.errors import MismatchError
from forgetaudit.gaps import Gap, gaps_in
from forgetaudit.models.loading import LoadedState, load_state
from forgetaudit.models.model_source import ModelSource
from forgetaudit.models.unrun import is_recomputed, unrun_tensors
from forgetaudit.plan import AuditPlan, ModelPlan, Settings
from forgetaudit.policy import Policy

IDS = torch.arange(12).reshape(2, 6) % 40
FAMILIES: dict[str, Callable[..., Any]] = {"gpt2": tiny.gpt2, "llama": tiny.llama}


def network(base: Path, tuned: Path, model: ModelPlan | None = None) -> Network:
    plan = AuditPlan(
        base=base,
        tuned=(tuned,),
        names=("tuned",),
        data=(),
        settings=Settings(threads=1),
        policy=Policy(),
        model=model,
    )
    with ExitStack() as files:
        family = ModelSource(plan)
        one = files.enter_context(family.open_base())
        other = files.enter_context(family.open_tuned(tuned))
        return build_network(family.architecture, plan, one, {"tuned": other})


@torch.no_grad()
def logits(found: Network, place: int) -> Tensor:
    """What the variant answers, its tensors hung into the skeleton by hand."""
    places = slots(found.skeleton)
    for name, tensor in found.variants[place].tensors.items():
        places[name].hang(tensor)
    return found.skeleton(input_ids=IDS).logits


def tied(family: str, **options: Any) -> Any:
    made = FAMILIES[family]()
    made.config.tie_word_embeddings = True
    made.tie_weights()
    return made


def save_untied(family: str, folder: Path, *, says: bool = False) -> None:
    """The same network with a head of its own; its config `says` tied or not."""
    made = tied(family)
    made.config.tie_word_embeddings = False
    generator = torch.Generator().manual_seed(1)
    made.lm_head.weight = nn.Parameter(
        made.lm_head.weight.detach() + 0.5 * torch.randn(made.lm_head.weight.shape, generator=generator)
    )
    made.save_pretrained(folder)
    if says:
        tiny.change_config(folder, tie_word_embeddings=True)
    assert "lm_head.weight" in load_file(folder / "model.safetensors")


def save_tied(family: str, folder: Path) -> None:
    tied(family).save_pretrained(folder)
    tiny.change_config(folder, tie_word_embeddings=True)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")


@torch.no_grad()
def by_library(family: str, folder: Path) -> Tensor:
    return FAMILIES[family]().from_pretrained(folder).eval()(input_ids=IDS).logits


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("says", [False, True])
@pytest.mark.parametrize("direction", ["tuned came apart", "tuned was tied"])
def test_heads_tied_on_one_side_are_run_as_the_library_runs_each(
    family: str, says: bool, direction: str, tmp_path: Path
) -> None:
    save_tied(family, tmp_path / "tied")
    save_untied(family, tmp_path / "untied", says=says)
    sides = [tmp_path / "tied", tmp_path / "untied"]
    base, tuned = sides if direction == "tuned came apart" else sides[::-1]
    found = network(base, tuned)
    assert torch.equal(logits(found, 0), by_library(family, base))
    assert torch.equal(logits(found, 1), by_library(family, tuned))
    assert not torch.equal(logits(found, 0), logits(found, 1))
    assert found.grafted["tuned"] == ()
    assert found.gaps == ()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("saved", [["head"], ["embedding"], ["embedding", "head"]])
@pytest.mark.parametrize("together", [False, True])
def test_an_adapter_with_modules_of_its_own_is_run_as_peft_runs_it(
    family: str, saved: list[str], together: bool, tmp_path: Path
) -> None:
    save_tied(family, tmp_path / "base")
    names = {"head": "lm_head", "embedding": "wte" if family == "gpt2" else "embed_tokens"}
    config = LoraConfig(
        r=2,
        target_modules=["c_attn" if family == "gpt2" else "q_proj"],
        modules_to_save=[names[one] for one in saved],
        fan_in_fan_out=family == "gpt2",
        init_lora_weights=False,
        ensure_weight_tying=together and saved == ["embedding"],
    )
    adapted = get_peft_model(FAMILIES[family]().from_pretrained(tmp_path / "base"), config)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "modules_to_save" in name:
                parameter += 0.5 * torch.randn(parameter.shape, generator=generator)
    adapted.save_pretrained(tmp_path / "adapter")
    found = network(tmp_path / "base", tmp_path / "adapter")
    own = PeftModel.from_pretrained(
        FAMILIES[family]().from_pretrained(tmp_path / "base"), tmp_path / "adapter"
    )
    with torch.no_grad():
        expected = own.eval()(input_ids=IDS).logits
    assert torch.allclose(logits(found, 1), expected, atol=1e-5)
    assert torch.equal(logits(found, 0), by_library(family, tmp_path / "base"))


def test_a_file_that_holds_both_names_of_a_tied_pair_with_equal_bytes_answers_as_ever(tmp_path: Path) -> None:
    save_tied("gpt2", tmp_path / "base")
    save_tied("gpt2", tmp_path / "tuned")
    tensors = load_file(tmp_path / "tuned" / "model.safetensors")
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
    save_file(tensors, tmp_path / "tuned" / "model.safetensors")
    found = network(tmp_path / "base", tmp_path / "tuned")
    assert torch.equal(logits(found, 0), logits(found, 1))


# Every tensor that goes into a loader is in its variant, or named.


def unaccounted(file: dict[str, Tensor], loaded: LoadedState) -> set[str]:
    """Tensors of the file whose values are in nothing that was loaded, and that no gap names."""
    named = {name for gap in gaps_in(loaded.notes) for name in gap.evidence.get("tensors", ())}
    held = [tensor.float().flatten() for tensor in loaded.state.values()]
    return {
        name
        for name, tensor in file.items()
        if name not in named
        and not is_recomputed(name)
        and not any(_is_part(tensor.float().flatten(), other) for other in held)
    }


def _is_part(small: Tensor, large: Tensor) -> bool:
    """Stacked experts are parts of one tensor; by their rarest values."""
    return bool(torch.isin(small, large).all())


def through_library(folder: Path) -> LoadedState:
    plan = AuditPlan(
        base=folder, tuned=(folder,), names=("tuned",), data=(), settings=Settings(threads=1), policy=Policy()
    )
    family = ModelSource(plan)
    with family.open_base() as base:
        return family.architecture.build(base, dtype=torch.float32, device=torch.device("cpu"), seed=0).base


WALKED: dict[str, Callable[[], Any]] = {
    "vit, renamed": tiny.vit,
    "bert": tiny.bert,
    "llama": tiny.llama,
    "gpt2, tied": tiny.gpt2,
    "mixtral, experts stacked": tiny.mixtral,
}


@pytest.mark.parametrize("name", WALKED)
def test_every_tensor_of_a_file_is_in_the_network_or_named(name: str, tmp_path: Path) -> None:
    WALKED[name]().save_pretrained(tmp_path)
    file = load_file(tmp_path / "model.safetensors")
    assert unaccounted(file, through_library(tmp_path)) == set()


def test_a_loader_that_loses_a_tensor_is_found_out(tmp_path: Path) -> None:
    tiny.llama().save_pretrained(tmp_path)
    file = load_file(tmp_path / "model.safetensors")
    loaded = through_library(tmp_path)
    lost = {name: tensor for name, tensor in loaded.state.items() if name != "lm_head.weight"}
    short = LoadedState(state=lost, model_names={}, grafted=(), steps=())
    assert unaccounted(file, short) == {"lm_head.weight"}


def test_what_the_library_leaves_out_is_named_and_what_it_recomputes_is_not(tmp_path: Path) -> None:
    tiny.llama().save_pretrained(tmp_path)
    file = load_file(tmp_path / "model.safetensors")
    file["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    save_file(file, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert gaps_in(through_library(tmp_path).notes) == ()


def told(*names: str, **options: Any) -> list[tuple[str, str]]:
    return [(gap.what, gap.holds) for gap in unrun_tensors(names, **options)]


def test_tensors_that_are_not_run_hold_back_every_rule_on_answers() -> None:
    assert told("a.weight", "b.weight") == [
        ("2 tensors of the file were not run: a.weight, b.weight", "behaviour")
    ]
    assert told("embeddings.position_ids", "h.0.attn.bias", "h.0.attn.masked_bias") == []
    assert told("h.0.attn.proj.bias") == [
        ("1 tensor of the file was not run: h.0.attn.proj.bias", "behaviour")
    ]
    ((what, holds),) = told("mtp.0.weight", ignored=(r"^mtp\.",))
    assert (what.endswith("which its library leaves out, too"), holds) == (True, "nothing")


class Shared(nn.Module):
    """A head that shares its weight with the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, 4)
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.embedding(ids))


@pytest.mark.parametrize("apart", [False, True])
def test_an_own_network_that_ties_what_the_file_has_apart_is_a_gap(apart: bool, tmp_path: Path) -> None:
    weight = torch.randn(6, 4)
    save_file({"embedding.weight": weight, "head.weight": weight + apart}, tmp_path / "w.safetensors")
    with open_checkpoint(tmp_path / "w.safetensors") as checkpoint:
        found = load_state(Shared(), checkpoint, dtype=torch.float32, device=torch.device("cpu"))
    assert torch.equal(found.state["head.weight"], weight + apart)
    assert [(gap.ident, gap.holds) for gap in gaps_in(found.notes)] == (
        [("tied-tensors-differ", "behaviour")] if apart else []
    )


def test_gaps_of_a_variant_are_the_networks(tmp_path: Path) -> None:
    tensors = {"embedding.weight": torch.randn(6, 4), "head.weight": torch.randn(6, 4)}
    save_file({"embedding.weight": tensors["embedding.weight"]}, tmp_path / "b.safetensors")
    save_file(tensors, tmp_path / "t.safetensors")
    plan = ModelPlan(factory=Shared, evidence="--model", directory=tmp_path)
    (gap,) = network(tmp_path / "b.safetensors", tmp_path / "t.safetensors", plan).gaps
    assert isinstance(gap, Gap)
    assert (gap.variant, gap.ident) == ("tuned", "tied-tensors-differ")


@pytest.mark.parametrize(
    ("change", "is_gap"),
    [
        ({"rope_parameters": {"rope_theta": 500000.0, "rope_type": "default"}}, True),
        ({"hidden_act": "relu"}, True),
        ({"use_cache": False, "attention_dropout": 0.3, "torch_dtype": "bfloat16"}, False),
        ({"tie_word_embeddings": False}, False),
        ({"id2label": {"0": "yes", "1": "no"}, "label2id": {"yes": 0, "no": 1}}, False),
    ],
)
def test_a_config_that_computes_something_else_holds_back_the_verdict(
    change: dict[str, Any], is_gap: bool, tmp_path: Path
) -> None:
    for side in ("base", "tuned"):
        tiny.llama().save_pretrained(tmp_path / side)
    tiny.change_config(tmp_path / "tuned", **change)
    gaps = network(tmp_path / "base", tmp_path / "tuned").gaps
    assert [(gap.ident, gap.holds) for gap in gaps] == ([("config-differs", "behaviour")] if is_gap else [])


def test_older_spellings_of_one_config_are_no_difference(tmp_path: Path) -> None:
    for side in ("base", "tuned"):
        tiny.llama().save_pretrained(tmp_path / side)
    config = json.loads((tmp_path / "tuned" / "config.json").read_text())
    theta = config.pop("rope_parameters")["rope_theta"]
    (tmp_path / "tuned" / "config.json").write_text(json.dumps(config | {"rope_theta": theta}))
    assert network(tmp_path / "base", tmp_path / "tuned").gaps == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_that_came_apart_is_mixed_with_the_embedding_it_came_from(family: str, tmp_path: Path) -> None:
    save_tied(family, tmp_path / "base")
    save_untied(family, tmp_path / "tuned")
    plan = AuditPlan(base=tmp_path / "base", tuned=(tmp_path / "tuned",), names=("tuned",))
    known = ModelSource(plan)
    with known.open_base() as base, known.open_tuned(tmp_path / "tuned") as tuned:
        alignment = align_through_model(base, tuned, known.model_names)
        sources = sources_of(known, base, tuned, alignment)
        embedding = next(
            name for name in base.tensors if name.endswith(("wte.weight", "embed_tokens.weight"))
        )
        assert sources.base_names["lm_head.weight"] == sources.base_names[embedding] == embedding


def test_what_only_tuned_ties_cannot_be_mixed_and_written(tmp_path: Path) -> None:
    save_tied("llama", tmp_path / "tied")
    save_untied("llama", tmp_path / "untied")
    for base, tuned, is_refused in (("tied", "untied", False), ("untied", "tied", True)):
        plan = AuditPlan(base=tmp_path / base, tuned=(tmp_path / tuned,), names=("tuned",))
        known = ModelSource(plan)
        with known.open_base() as one, known.open_tuned(tmp_path / tuned) as other:
            found = build_network(known.architecture, plan, one, {"tuned": other})
            with pytest.raises(MismatchError, match="tuned ties what base") if is_refused else nullcontext():
                refuse_tied(known, other, found)

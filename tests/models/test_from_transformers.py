"""Networks of transformers: built from their config, filled by our reader, and nothing loaded at random."""

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.models import tiny
from torch import nn

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import MismatchError, ModelError
from forgetaudit.gaps import gaps_in
from forgetaudit.models.architecture import Graft, Skeleton
from forgetaudit.models.evidence import find_evidence
from forgetaudit.models.from_transformers import TransformersArchitecture
from forgetaudit.models.loading import LoadedState

CPU = {"dtype": torch.float32, "device": torch.device("cpu")}


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    tiny.vit().save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


def architecture(folder: Path, **options: Any) -> TransformersArchitecture:
    return TransformersArchitecture(find_evidence(folder), **options)


def built(folder: Path) -> Skeleton:
    with open_checkpoint(folder) as base:
        return architecture(folder).build(base, **CPU, seed=0)


@contextmanager
def pair(base: Path, tuned: Path, **graft: Any) -> Iterator[LoadedState]:
    with open_checkpoint(base) as one, open_checkpoint(tuned) as two:
        made = architecture(base)
        skeleton = made.build(one, **CPU, seed=0)
        chosen = Graft(base=skeleton.base.state, **graft) if graft else None
        yield made.load(skeleton.model, two, **CPU, graft=chosen)


def refused(folder: Path) -> str:
    with pytest.raises((MismatchError, ModelError)) as problem:
        built(folder)
    return str(problem.value)


@pytest.mark.parametrize("make", [tiny.vit, tiny.bert, tiny.llama, tiny.gpt2, tiny.mixtral])
def test_every_tensor_is_that_of_the_librarys_own_loader(make: Any, tmp_path: Path) -> None:
    network = make()
    network.save_pretrained(tmp_path)
    skeleton = built(tmp_path)
    expected = network.state_dict()
    assert skeleton.base.state.keys() == expected.keys()
    for name, tensor in skeleton.model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
        assert torch.equal(skeleton.base.state[name], expected[name]), name
    assert not skeleton.model.training


def test_a_network_answers_as_the_library_makes_it_answer(vit: Path) -> None:
    images = torch.randn(3, 3, 8, 8)
    with torch.no_grad():
        expected = type(tiny.vit()).from_pretrained(vit)(images).logits
        assert torch.equal(built(vit).model(images).logits, expected)


def test_tied_weights_stay_one_tensor(tmp_path: Path) -> None:
    tiny.gpt2().save_pretrained(tmp_path)
    skeleton = built(tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    state = skeleton.base.state
    assert state["lm_head.weight"] is state["transformer.wte.weight"]
    assert skeleton.model.lm_head.weight is skeleton.model.transformer.wte.weight


def test_both_spellings_of_one_vit_load_to_the_same_tensors(vit: Path, tmp_path: Path) -> None:
    torch.save(tiny.vit().state_dict(), tmp_path / "state.pt")
    with pair(vit, tmp_path / "state.pt") as loaded, pair(vit, vit) as same:
        assert loaded.steps == ()
        assert same.steps == ("renamed 32 of 40 tensors of model.safetensors, as its library does",)
        assert all(torch.equal(loaded.state[name], tensor) for name, tensor in same.state.items())


def test_a_file_whose_every_name_is_foreign_is_refused_with_the_first_names(vit: Path) -> None:
    tensors = load_file(vit / "model.safetensors")
    foreign = {f"{index}.{chr(97 + index % 3)}x": tensor for index, tensor in enumerate(tensors.values())}
    save_file(foreign, vit / "model.safetensors")
    said = refused(vit)
    assert "missing in the file (40)" in said
    assert "in the file but not in the model (40)" in said
    assert "vit.embeddings.cls_token" in said
    assert said.count("… 35 more") == 2


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.module.", "net.vit_of_mine."])
def test_a_wrapper_around_every_name_is_removed_and_told(vit: Path, prefix: str) -> None:
    tensors = load_file(vit / "model.safetensors")
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, vit / "model.safetensors")
    loaded = built(vit).base
    assert torch.equal(loaded.state["classifier.weight"], tensors["classifier.weight"])
    assert any(f"removed `{prefix}`" in step for step in loaded.steps)


def test_one_lost_tensor_is_named(vit: Path) -> None:
    tensors = load_file(vit / "model.safetensors")
    tensors.pop("vit.layernorm.weight")
    save_file(tensors, vit / "model.safetensors")
    assert "missing in the file (1): vit.layernorm.weight" in refused(vit)


def test_another_width_is_named_with_the_shape_that_was_expected(vit: Path) -> None:
    tensors = load_file(vit / "model.safetensors")
    save_file(tensors | {"vit.layernorm.weight": torch.ones(17)}, vit / "model.safetensors")
    assert "vit.layernorm.weight [16]" in refused(vit)


HEAD = {"classifier.weight", "classifier.bias"}


def test_a_head_of_other_size_is_grafted_and_only_the_head(vit: Path, tmp_path: Path) -> None:
    tiny.vit({0: "a", 1: "b"}, seed=1).save_pretrained(tmp_path / "other")
    with pair(vit, tmp_path / "other", names=HEAD) as loaded:
        assert set(loaded.grafted) == HEAD
        assert loaded.state["classifier.weight"].shape == (3, 16)
        body = load_file(tmp_path / "other" / "model.safetensors")["vit.layernorm.weight"]
        assert torch.equal(loaded.state["vit.layernorm.weight"], body)
    with pytest.raises(MismatchError, match="does not fit the model"), pair(vit, tmp_path / "other"):
        pass


def test_a_head_of_equal_size_with_other_labels_is_grafted_and_it_is_said(vit: Path, tmp_path: Path) -> None:
    tiny.vit({0: "car", 1: "bus", 2: "tram"}, seed=1).save_pretrained(tmp_path / "other")
    with pair(vit, tmp_path / "other", names=HEAD) as loaded:
        assert set(loaded.grafted) == HEAD
        assert "its labels are car, bus, tram (3), base's are cat, dog, owl (3)" in " ".join(
            map(str, loaded.notes)
        )


def test_a_head_with_the_same_labels_is_tuneds_own(vit: Path, tmp_path: Path) -> None:
    tiny.vit(seed=1).save_pretrained(tmp_path / "other")
    with pair(vit, tmp_path / "other", names=HEAD) as loaded:
        assert loaded.grafted == ()
        assert loaded.notes == ()


def test_a_config_that_computes_otherwise_is_told(vit: Path, tmp_path: Path) -> None:
    shutil.copytree(vit, tmp_path / "other")
    tiny.change_config(tmp_path / "other", layer_norm_eps=1e-3, hidden_dropout_prob=0.5)
    with pair(vit, tmp_path / "other") as loaded:
        (gap,) = gaps_in(loaded.notes)
        assert str(gap) == "its config differs: layer_norm_eps 1e-12 → 0.001; base's was used for both"
        assert gap.holds == "behaviour"


def test_another_kind_of_network_is_refused(vit: Path, tmp_path: Path) -> None:
    tiny.bert().save_pretrained(tmp_path / "bert")
    with pytest.raises(MismatchError, match="base is vit, tuned is bert"), pair(vit, tmp_path / "bert"):
        pass


@pytest.mark.parametrize("name", ["NoSuchModel", "AutoConfig", "logging", "pipeline", "os"])
def test_a_name_that_is_no_network_of_the_library_is_refused(vit: Path, name: str) -> None:
    tiny.change_config(vit, architectures=[name])
    assert f"has no model {name}" in refused(vit)


def test_code_in_the_folder_is_run_only_when_it_is_asked_for(vit: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (vit / "modeling_mine.py").write_text(
        f"import pathlib\npathlib.Path({str(ran)!r}).touch()\n"
        "from transformers import ViTForImageClassification\n"
        "class Mine(ViTForImageClassification):\n    pass\n"
    )
    code = {"AutoModelForImageClassification": "modeling_mine.Mine"}
    tiny.change_config(vit, architectures=["Mine"], auto_map=code)
    said = refused(vit)
    assert "asks to run Python code of its own (Mine), which was not run" in said
    assert "--trust-remote-code" in said
    assert not ran.exists()
    with open_checkpoint(vit) as base:
        trusting = architecture(vit, trust_remote_code=True)
        assert type(trusting.build(base, **CPU, seed=0).model).__name__ == "Mine"
    assert ran.exists()


def test_a_network_that_the_library_has_itself_is_built_without_the_folders_code(vit: Path) -> None:
    tiny.change_config(vit, auto_map={"AutoModel": "modeling_evil.Evil"})
    assert isinstance(built(vit).model, nn.Module)


def test_a_config_of_another_network_than_the_class_is_refused(vit: Path) -> None:
    tiny.change_config(vit, model_type="bert")
    assert "contradicts itself: ViTForImageClassification is of vit, not bert" in refused(vit)


def test_a_config_that_cannot_be_one_is_translated(vit: Path) -> None:
    tiny.change_config(vit, hidden_act="no such thing")
    assert "cannot be built" in refused(vit)


def test_values_packed_several_to_a_byte_are_refused(vit: Path) -> None:
    tensors = load_file(vit / "model.safetensors")
    packed = {"vit.layernorm.weight": torch.zeros(8, dtype=torch.float4_e2m1fn_x2)}
    save_file(tensors | packed, vit / "model.safetensors")
    assert "quantised weights (float4" in refused(vit)


def test_quantised_tensors_are_refused_without_a_word_in_the_config(vit: Path) -> None:
    tensors = load_file(vit / "model.safetensors")
    save_file(
        tensors | {"vit.layers.0.q.qzeros": torch.zeros(2, dtype=torch.int32)}, vit / "model.safetensors"
    )
    assert "quantised weights (GPTQ or AWQ)" in refused(vit)


def test_the_library_is_left_as_it_was(vit: Path, capfd: pytest.CaptureFixture[str]) -> None:
    state, level = torch.get_rng_state(), logging.getLogger("transformers").level
    built(vit)
    assert torch.equal(torch.get_rng_state(), state)
    assert logging.getLogger("transformers").level == level
    assert capfd.readouterr() == ("", "")


def test_the_names_of_the_classes_are_read(vit: Path) -> None:
    assert architecture(vit).class_names == ("cat", "dog", "owl")
    assert json.loads((vit / "config.json").read_text())["id2label"]["0"] == "cat"

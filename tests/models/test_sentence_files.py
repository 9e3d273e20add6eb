"""What a sentence-transformers folder says of its embeddings is read as data, and what is not built is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from forgetaudit.checkpoints.directory import weights_in
from forgetaudit.errors import AuditError, ModelError, UnreadableCheckpoint, UnsafeCheckpoint
from forgetaudit.models.evidence import find_evidence
from forgetaudit.models.sentence_files import POOLING_MODES, read_sentence_files, sentence_root

BERT = {"architectures": ["BertModel"], "model_type": "bert"}
OLD_MEAN = {
    "word_embedding_dimension": 32,
    "pooling_mode_cls_token": False,
    "pooling_mode_mean_tokens": True,
    "pooling_mode_max_tokens": False,
}


def module(place: int, kind: str, path: str | None = None) -> dict[str, Any]:
    name = f"{place}_{kind}" if path is None else path
    return {"idx": place, "name": str(place), "path": name, "type": f"sentence_transformers.models.{kind}"}


def folder(
    root: Path,
    *,
    kinds: tuple[str, ...] = ("Transformer", "Pooling"),
    encoder: str = "",
    pooling: Any = OLD_MEAN,
    settings: Any = None,
    general: Any = None,
) -> Path:
    """As sentence-transformers saves it; its encoder at the root, or in a folder of its own as it once was."""
    modules = [
        module(place, kind, encoder if kind == "Transformer" else None) for place, kind in enumerate(kinds)
    ]
    write(root / "modules.json", modules)
    write(root / encoder / "config.json", BERT)
    write(root / encoder / "model.safetensors", {})
    write(root / "1_Pooling" / "config.json", pooling)
    if settings is not None:
        write(root / encoder / "sentence_bert_config.json", settings)
    if general is not None:
        write(root / "config_sentence_transformers.json", general)
    return root


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("encoder", ["", "0_Transformer"])
def test_the_encoder_is_found_where_modules_json_says(tmp_path: Path, encoder: str) -> None:
    found = find_evidence(folder(tmp_path, encoder=encoder))
    assert (found.library, found.model, found.folder) == ("transformers", "BertModel", tmp_path / encoder)
    assert found.sentence == f"modules.json in {tmp_path.name}, encoder built by transformers"
    assert found.sentences is not None
    assert found.sentences.sentence == "mean of tokens"


def test_a_file_and_the_folder_of_the_encoder_alone_are_read_the_same_way(tmp_path: Path) -> None:
    whole = find_evidence(folder(tmp_path, encoder="0_Transformer"))
    assert find_evidence(tmp_path / "0_Transformer") == whole
    assert find_evidence(tmp_path / "0_Transformer" / "model.safetensors") == whole


def test_an_encoder_beside_such_a_folder_is_none_of_its_parts(tmp_path: Path) -> None:
    folder(tmp_path, encoder="0_Transformer")
    write(tmp_path / "elsewhere" / "config.json", BERT)
    assert sentence_root(tmp_path / "elsewhere") is None
    assert find_evidence(tmp_path / "elsewhere").sentences is None


def test_the_weights_are_found_one_folder_further_down_and_it_is_said(tmp_path: Path) -> None:
    chosen = weights_in(folder(tmp_path, encoder="0_Transformer"))
    assert chosen.path == tmp_path / "0_Transformer" / "model.safetensors"
    assert chosen.notes == ("the weights are in 0_Transformer, by modules.json",)


def test_weights_behind_the_encoder_are_said_not_to_be_read(tmp_path: Path) -> None:
    root = folder(tmp_path, kinds=("Transformer", "Pooling", "Dense"))
    (root / "2_Dense").mkdir(exist_ok=True)
    (root / "2_Dense" / "pytorch_model.bin").touch()
    assert [str(note) for note in weights_in(root).notes] == ["the weights of Dense in 2_Dense were not read"]


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_every_pooling_is_read_in_its_old_and_its_new_spelling(tmp_path: Path, mode: str) -> None:
    old = {key: key == POOLING_MODES[mode] for key in POOLING_MODES.values()}
    for pooling in (old, {"embedding_dimension": 32, "pooling_mode": mode}, {"pooling_mode": [mode]}):
        assert read_sentence_files(folder(tmp_path, pooling=pooling)).modes == (mode,)


def test_several_poolings_are_joined_in_the_order_of_the_library(tmp_path: Path) -> None:
    pooling = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
    assert read_sentence_files(folder(tmp_path, pooling=pooling)).modes == ("cls", "mean")
    assert read_sentence_files(folder(tmp_path, pooling={"pooling_mode": ["mean", "cls"]})).modes == (
        "mean",
        "cls",
    )


def test_length_case_and_normalisation_are_read(tmp_path: Path) -> None:
    kinds = ("Transformer", "Pooling", "Normalize")
    files = read_sentence_files(
        folder(tmp_path, kinds=kinds, settings={"max_seq_length": 24, "do_lower_case": True})
    )
    assert (files.longest, files.lower_case, files.normalised) == (24, True, True)
    plain = read_sentence_files(folder(tmp_path, settings={"max_seq_length": None}))
    assert (plain.longest, plain.lower_case, plain.normalised) == (None, False, False)


@pytest.mark.parametrize(
    ("default", "query", "document"),
    [
        (None, "", ""),
        ("query", "find: ", ""),
        ("document", "", "text: "),
        ("both", "about: ", "about: "),
        ("nowhere", "", ""),
    ],
)
def test_only_the_default_prompt_is_put_before_texts(
    tmp_path: Path, default: str | None, query: str, document: str
) -> None:
    prompts = {"query": "find: ", "document": "text: ", "both": "about: "}
    files = read_sentence_files(
        folder(tmp_path, general={"prompts": prompts, "default_prompt_name": default})
    )
    assert (files.query_prompt, files.document_prompt) == (query, document)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"kinds": ("Transformer", "Pooling", "Dense")},
            "model with Dense, which forgetaudit does not build",
        ),
        ({"kinds": ("Transformer", "Pooling", "Pooling")}, "of Transformer, Pooling, Pooling"),
        ({"kinds": ("Transformer",)}, "model of Transformer"),
        ({"kinds": ()}, "model of no modules"),
        ({"pooling": {"pooling_mode": "attention"}}, "a pooling that is not known: attention"),
        ({"pooling": {"pooling_mode": []}}, "a pooling that is not known: none"),
        ({"general": {"similarity_fn_name": "euclidean"}}, "compares embeddings by euclidean"),
        (
            {
                "general": {"prompts": {"q": "a: "}, "default_prompt_name": "q"},
                "pooling": OLD_MEAN | {"include_prompt": False},
            },
            "leaves the tokens of the prompt out of the pooling",
        ),
    ],
)
def test_what_is_not_built_is_refused_by_name(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError) as refused:
        read_sentence_files(folder(tmp_path, **given))
    assert said in refused.value.fact
    assert refused.value.hint is not None
    assert "leave out --data" in refused.value.hint


def test_a_prompt_that_is_pooled_or_not_used_is_no_reason_to_refuse(tmp_path: Path) -> None:
    general = {"prompts": {"q": "a: "}, "default_prompt_name": None}
    assert read_sentence_files(
        folder(tmp_path, general=general, pooling=OLD_MEAN | {"include_prompt": False})
    ).modes == ("mean",)


@pytest.mark.parametrize("path", ["../elsewhere", "/etc", "a/../../b"])
def test_a_module_outside_of_the_folder_is_not_opened(tmp_path: Path, path: str) -> None:
    write(tmp_path / "modules.json", [module(0, "Transformer", path)])
    with pytest.raises(UnsafeCheckpoint, match="points outside of its folder"):
        find_evidence(tmp_path)
    with pytest.raises(UnsafeCheckpoint, match="points outside of its folder"):
        weights_in(tmp_path)


@pytest.mark.parametrize("text", ["{", "{}", '["Transformer"]', '[{"path": ""}]', '[{"type": 1}]'])
def test_a_damaged_list_of_modules_is_said_to_be_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "modules.json").write_text(text)
    with pytest.raises(UnreadableCheckpoint, match=r"modules\.json is damaged"):
        find_evidence(tmp_path)


def test_an_encoder_that_nothing_names_is_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(AuditError, match="nothing says which encoder"):
        find_evidence(tmp_path)

"""Networks that choose no single label are refused by their kind, with the way out; never judged by their argmax."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests.models.tiny import SMALL
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import forgetaudit
from forgetaudit.data.batches import Batch
from forgetaudit.errors import ModelError
from forgetaudit.models.library_classes import task_of
from forgetaudit.plan import Settings
from forgetaudit.tasks.scoring import score_classes

WORDS = ["[PAD]", "[UNK]", "</s>", *(f"w{i}" for i in range(8))]
T5 = {"vocab_size": 11, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}


def saved(folder: Path, kind: str, label: Any, options: dict[str, Any]) -> Path:
    name = kind.partition("For")[0].removesuffix("Model")
    config = getattr(transformers, f"{name}Config")(
        **(T5 if name == "T5" else {**SMALL, "vocab_size": 11}), **options
    )
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", eos_token="</s>"
    )
    for seed, side in enumerate(("base", "tuned")):
        torch.manual_seed(seed)
        getattr(transformers, kind)(config).save_pretrained(folder / side)
        fast.save_pretrained(folder / side)
    rows = [{"text": f"w{i % 8} w{i % 5}", "label": label(i)} for i in range(40)]
    (folder / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.mark.parametrize(
    ("kind", "said", "label", "options"),
    [
        ("T5ForConditionalGeneration", "sequence-to-sequence generation", lambda i: i % 2, {}),
        ("T5Model", "sequence-to-sequence generation", lambda i: i % 2, {}),
        ("BertForTokenClassification", "token classification", lambda i: i % 2, {}),
        ("BertForQuestionAnswering", "question answering", lambda i: i % 2, {}),
        (
            "BertForSequenceClassification",
            "regression",
            lambda i: i / 7,
            {"problem_type": "regression", "num_labels": 1},
        ),
        ("BertForSequenceClassification", "regression or ranking", lambda i: i % 2, {"num_labels": 1}),
        (
            "BertForSequenceClassification",
            "multi-label classification",
            lambda i: [i % 2, 1, 0],
            {"problem_type": "multi_label_classification", "num_labels": 3},
        ),
    ],
)
def test_a_network_for_something_else_is_refused_by_that_name(
    tmp_path: Path, kind: str, said: str, label: Any, options: dict[str, Any]
) -> None:
    folder = saved(tmp_path, kind, label, options)
    for settings in (Settings(), Settings(task="classification")):
        with pytest.raises(ModelError, match=said) as refused:
            forgetaudit.compare(
                folder / "base", folder / "tuned", data=str(folder / "d.jsonl"), settings=settings
            )
        assert "--task module:object" in str(refused.value.hint)
        assert "build()" in str(refused.value.hint)


OWN = """
import numpy as np
from forgetaudit.data.batches import Batch
from forgetaudit.tasks.task import Outcomes

class Sign:
    class_names = None
    def __init__(self, setting):
        self.encode = setting.encode
    def collate(self, examples):
        return Batch(ids=tuple(e.id for e in examples), kwargs=self.encode([e.input for e in examples]))
    def score(self, outputs, batch):
        found = outputs.logits[:, 0].detach().numpy()
        return Outcomes(predicted=(found > 0).astype(np.int64), correct=found > 0, nll=np.abs(found), n_classes=2,
                        wanted=np.ones(len(found), np.int64))
    def decisions(self):
        return ()
"""


def test_a_task_of_the_users_judges_what_no_task_here_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path, "BertForSequenceClassification", lambda i: i % 2, {"num_labels": 1})
    (tmp_path / "sign_task.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    report = forgetaudit.compare(
        folder / "base",
        folder / "tuned",
        data=str(folder / "d.jsonl"),
        settings=Settings(task="sign_task.py:Sign"),
    )
    assert report.source[0].n == 40  # type: ignore[union-attr,index]


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("BertForSequenceClassification", "classification"),
        ("BartForSequenceClassification", "classification"),
        ("T5ForSequenceClassification", "classification"),
        ("ViTForImageClassification", "classification"),
        ("GPT2LMHeadModel", "causal-lm"),
        ("BartForCausalLM", "causal-lm"),
        ("BertForMaskedLM", "masked-lm"),
        ("BertModel", "embedding"),
        ("T5EncoderModel", "embedding"),
        ("SegformerForSemanticSegmentation", "semantic segmentation"),
        ("DetrForObjectDetection", "object detection"),
        ("BartForConditionalGeneration", "sequence-to-sequence generation (encoder and decoder)"),
        ("WhisperForConditionalGeneration", "speech recognition"),
        ("Wav2Vec2ForCTC", "speech recognition"),
        ("BertForMultipleChoice", "multiple choice"),
        ("NoSuchClass", None),
    ],
)
def test_what_a_class_is_for_is_told_by_the_lists_of_the_library(name: str, task: str | None) -> None:
    assert task_of(name) == task


@pytest.mark.parametrize(
    ("shape", "said", "way"),
    [
        ((4,), "regression", "torch.cat([torch.zeros_like(s), s], dim=1)"),
        ((4, 1), "two classes by one logit", "torch.cat([torch.zeros_like(s), s], dim=1)"),
        ((4, 6, 3), "token classification", "--task module:object"),
        ((4, 3, 8, 8), "segmentation", "--task module:object"),
        ((2, 3), "(2, 3) for 4 examples", "--task module:object"),
    ],
)
def test_outputs_of_another_shape_are_named_with_the_way_out(
    shape: tuple[int, ...], said: str, way: str
) -> None:
    batch = Batch(ids=("a", "b", "c", "d"), labels=torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ModelError) as refused:
        score_classes(torch.zeros(shape), batch)
    assert said in refused.value.fact
    assert way in str(refused.value.hint)


def test_the_wrapper_that_the_hint_names_is_right() -> None:
    s = torch.tensor([[-2.0], [3.0]])
    scored = score_classes(
        torch.cat([torch.zeros_like(s), s], dim=1), Batch(ids=("a", "b"), labels=torch.tensor([0, 1]))
    )
    assert scored.correct.tolist() == [True, True]
    assert scored.nll == pytest.approx([np.log1p(np.exp(-2)), np.log1p(np.exp(-3))])


def test_a_network_of_timm_without_a_classifier_is_refused(tmp_path: Path) -> None:
    config = {"architecture": "resnet10t", "num_classes": 0, "pretrained_cfg": {"num_classes": 0}}
    for side in ("base", "tuned"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "config.json").write_text(json.dumps(config))
        torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / side / "pytorch_model.bin")
    np.savez(tmp_path / "d.npz", x=np.zeros((4, 3, 8, 8), np.float32), y=np.arange(4) % 2)
    with pytest.raises(ModelError, match="features without a classifier"):
        forgetaudit.compare(tmp_path / "base", tmp_path / "tuned", data=str(tmp_path / "d.npz"))

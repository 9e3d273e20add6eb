"""Tuned's head against base's: what is grafted and said, and what --head own refuses."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from tests.conftest import Run
from transformers import BertForSequenceClassification

FIXTURES = Path(__file__).parent / "fixtures"
BERT = FIXTURES / "bert"

Head = Callable[..., Run]


@pytest.fixture
def audited(forgetaudit: Callable[..., Run], tmp_path: Path) -> Head:
    """Compares bert's base with `tuned` under a --head."""

    def run(tuned: Path, head: str, *more: str) -> Run:
        data = FIXTURES / "data" / "bert_val.parquet"
        words = (
            "compare",
            BERT / "base",
            tuned,
            "--data",
            data,
            "--limit",
            "40",
            "--head",
            head,
            "-v",
            *more,
        )
        return forgetaudit(*words, cwd=tmp_path)

    return run


def network(labels: int, start: str = "tuned") -> Any:
    return BertForSequenceClassification.from_pretrained(
        BERT / start, num_labels=labels, ignore_mismatched_sizes=True
    )


def of_more_classes(folder: Path) -> Path:
    network(7).save_pretrained(folder)
    return folder


def of_other_names(folder: Path) -> Path:
    made = BertForSequenceClassification.from_pretrained(BERT / "tuned")
    made.config.id2label = dict(enumerate(["car", "bus", "tram", "ship"]))
    made.config.label2id = {name: number for number, name in made.config.id2label.items()}
    made.save_pretrained(folder)
    return folder


def an_adapter_with_more_classes(folder: Path) -> Path:
    config = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"], init_lora_weights=False)
    get_peft_model(network(7, "base"), config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (of_more_classes, "classifier.weight: [4, 64] in base, [7, 64] in tuned"),
        (an_adapter_with_more_classes, "classifier.weight: [4, 64] in base, [7, 64] in tuned"),
        (of_other_names, "its labels are car, bus, tram, … 1 more (4), base's are docstring, comment, code,"),
    ],
)
def test_a_head_of_other_classes_is_refused_on_request_and_replaced_otherwise(
    audited: Head, make: Callable[[Path], Path], reason: str, tmp_path: Path
) -> None:
    tuned = make(tmp_path / "tuned")
    own, auto, base = (audited(tuned, head) for head in ("own", "auto", "base"))
    assert own.code == 2
    assert "error: --head own: the head of " in own.err
    assert "is not one for base's classes" in own.err
    assert reason in own.err
    assert "hint: leave it out, or pass --head base" in own.err
    assert auto.code == 0
    assert "tuned has another head; base's was put on it: classifier.weight, classifier.bias" in auto.out
    assert auto.out.splitlines()[2:8] == base.out.splitlines()[2:8]


def test_a_head_of_bases_classes_is_tuneds_own(audited: Head) -> None:
    own, auto = (audited(BERT / "tuned", head) for head in ("own", "auto"))
    assert own.code == 0
    assert own.out == auto.out
    assert "another head" not in auto.out


def test_a_head_of_bases_put_there_on_request_is_called_asked_for(audited: Head) -> None:
    assert "as asked" in audited(BERT / "tuned", "base").out


def test_the_head_of_a_network_of_the_users_own_is_refused_with_both_shapes(
    forgetaudit: Callable[..., Run], workplace: Path
) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(workplace / "tuned.safetensors")
    head = {name: tensor[:5].clone() for name, tensor in tensors.items() if name.startswith("head")}
    save_file(tensors | head, workplace / "five.safetensors")
    words = ("compare", "base.safetensors", "five.safetensors", "--data", "src_val", "--head")
    own = forgetaudit(*words, "own", cwd=workplace)
    assert own.code == 2
    assert "--head own: the head of five.safetensors is not one for base's classes" in own.err
    assert "head.weight: [10, " in own.err
    assert forgetaudit(*words, "auto", cwd=workplace).code == 0


@pytest.mark.filterwarnings("ignore")
def test_a_file_without_any_head_is_named_and_nothing_passes_over_it(audited: Head, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(BERT / "tuned", tmp_path / "headless")
    path = tmp_path / "headless" / "model.safetensors"
    tensors = load_file(path)
    save_file({n: t for n, t in tensors.items() if not n.startswith("classifier")}, path, {"format": "pt"})
    limit = ("--max-drop", "99pt", "--min-samples", "2")
    found = audited(tmp_path / "headless", "auto", *limit)
    said = "model.safetensors has no tensor for classifier.bias, classifier.weight: base's were put there"
    assert found.out.splitlines()[1].startswith("INCONCLUSIVE")
    assert any(line.startswith("note") and said in line for line in found.out.splitlines()[2:6])
    assert "tuned has no head; base's was put on it" in found.out
    asked = audited(tmp_path / "headless", "base", *limit)
    assert asked.out.splitlines()[1].startswith("PASS")
    assert said not in asked.out

"""Bad input: a clear error, exit 2, and nothing written."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file


@pytest.fixture
def refused(forgetaudit: Any, workplace: Path) -> Callable[..., str]:
    """The message of an audit that is refused; fails if anything was written."""

    def run(
        *options: str, tuned: str = "tuned.safetensors", data: str = "src_val", base: str = "base.safetensors"
    ) -> str:
        before = {path: path.stat().st_mtime_ns for path in workplace.rglob("*")}
        words = ["compare", base, tuned, "--data", data, "--output", "json=report.json", *options]
        done = forgetaudit(*words, cwd=workplace)
        assert done.code == 2
        assert done.out == ""
        assert "Traceback" not in done.err
        assert {path: path.stat().st_mtime_ns for path in workplace.rglob("*")} == before
        return str(done.err)

    return run


def saved(folder: Path, name: str, **columns: Any) -> None:
    datasets.Dataset.from_dict(columns).save_to_disk(str(folder / name))


IMAGES = np.random.default_rng(0).random((4, 1, 8, 8)).astype(np.float32)


def test_a_missing_file_names_the_nearest(refused: Any) -> None:
    assert "did you mean tuned.safetensors" in refused(tuned="tunde.safetensors")


def test_an_empty_file(refused: Any, workplace: Path) -> None:
    (workplace / "empty.safetensors").touch()
    assert "empty.safetensors is empty" in refused(tuned="empty.safetensors")


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.999])
def test_a_truncated_file(refused: Any, workplace: Path, share: float) -> None:
    whole = (workplace / "tuned.safetensors").read_bytes()
    (workplace / "cut.safetensors").write_bytes(whole[: int(len(whole) * share)])
    message = refused(tuned="cut.safetensors")
    assert "cut.safetensors" in message
    assert "copy or download the file again" in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "git lfs pull"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b"just some words that are no weights at all", "is not"),
    ],
)
def test_a_file_that_is_no_checkpoint(refused: Any, workplace: Path, content: bytes, said: str) -> None:
    (workplace / "odd.safetensors").write_bytes(content)
    assert said in refused(tuned="odd.safetensors")


def test_checkpoints_of_different_networks(refused: Any, workplace: Path) -> None:
    save_file(
        {f"other.{i}.weight": np.zeros((3, i + 1), np.float32) for i in range(8)},
        workplace / "other.safetensors",
    )
    message = refused(tuned="other.safetensors")
    assert "base and tuned are not versions of one network" in message
    assert "only in tuned (8): " in message
    assert "hint: pass the checkpoint you started from as BASE" in message


def test_keys_that_do_not_fit_the_model_are_all_in_one_message(refused: Any, workplace: Path) -> None:
    for name in ("base", "tuned"):
        tensors = load_file(workplace / f"{name}.safetensors")
        gone = {"stem.0.weight", "block1.bn1.bias", "block2.conv1.weight"}
        save_file({k: v for k, v in tensors.items() if k not in gone}, workplace / f"{name}-cut.safetensors")
    message = refused(base="base-cut.safetensors", tuned="tuned-cut.safetensors")
    assert "missing in the file (3): stem.0.weight, block1.bn1.bias, block2.conv1.weight" in message


def test_data_that_are_not_there(refused: Any) -> None:
    assert "did you mean src_val" in refused(data="src_vla")


def test_labels_outside_the_models_classes(refused: Any, workplace: Path) -> None:
    saved(workplace, "strange", image=IMAGES.tolist(), label=[0, 1, 10, 11])
    message = refused(data="strange")
    assert "the model knows 10 classes, 0 to 9, and the data have others" in message
    assert "labels (2): 10, 11" in message


def test_empty_data(refused: Any, workplace: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    datasets.Dataset.from_dict({"image": [], "label": []}, features=features).save_to_disk(
        str(workplace / "none")
    )
    assert "none is empty" in refused(data="none")


def test_one_example(refused: Any, workplace: Path) -> None:
    saved(workplace, "one", image=IMAGES[:1].tolist(), label=[0])
    assert "one holds one example" in refused(data="one")


def test_an_unknown_column(refused: Any) -> None:
    message = refused("--label-column", "lable")
    assert "there is no column lable" in message
    assert "did you mean --label-column label?" in message


def test_a_split_that_is_not_there(refused: Any) -> None:
    assert "tset" in refused(data="src_val:tset")


def test_a_config_with_a_misspelt_key(refused: Any, workplace: Path) -> None:
    (workplace / "forgetaudit.toml").write_text('modle = "digits.py:build"')
    assert "did you mean model?" in refused()


def test_a_config_may_not_run_code_outside_its_own_folder(refused: Any, workplace: Path) -> None:
    shutil.copy(workplace / "digits.py", workplace.parent / "elsewhere.py")
    (workplace / "forgetaudit.toml").write_text('model = "../elsewhere.py:build"')
    assert "lies outside the folder of the config" in refused()


def test_a_factory_that_raises(refused: Any, workplace: Path) -> None:
    (workplace / "bad.py").write_text("def build():\n    raise KeyError('width')\n")
    message = refused("--model", "bad.py:build")
    assert "bad.py:build raised an error" in message
    assert "KeyError: 'width'" in message
    assert "bad.py:2" in message


def test_a_forward_that_raises(refused: Any, workplace: Path) -> None:
    source = "from digits import DigitNet\nclass Bad(DigitNet):\n    def forward(self, x):\n        raise ValueError('no way')\n"
    (workplace / "bad.py").write_text(source + "def build():\n    return Bad()\n")
    assert "no way" in refused("--model", "bad.py:build")


@pytest.mark.parametrize(
    ("body", "said", "line"),
    [
        ("raise ValueError('not today')", "ValueError: not today", 4),
        ("raise SystemExit(0)", "SystemExit: 0", 4),
        ("return None", "returned a NoneType, which is no tensor or array", 3),
        ("return image", "which is no tensor or array", 3),
        ("return 'x'", "returned a str", 3),
    ],
)
def test_a_preprocess_that_raises_or_gives_no_tensor_is_the_models_error(
    refused: Any, workplace: Path, body: str, said: str, line: int
) -> None:
    source = "from digits import DigitNet\nclass Bad(DigitNet):\n    def preprocess(self, image):\n        "
    (workplace / "bad.py").write_text(f"{source}{body}\ndef build():\n    return Bad()\n")
    message = refused("--model", "bad.py:build")
    assert "the model's preprocess" in message
    assert said in message
    assert f"bad.py:{line}" in message


def test_no_model_at_all(refused: Any) -> None:
    assert "nothing says which network base.safetensors belongs to" in refused("--no-config")


def test_a_rule_on_a_layer_that_is_not_watched(refused: Any, workplace: Path) -> None:
    config = 'model = "digits.py:build"\n[gate.rules]\n"cka/block9" = { min = 0.5 }\n'
    (workplace / "forgetaudit.toml").write_text(config)
    assert "the rule cka/block9 names no watched layer" in refused()


def test_a_frozen_pattern_that_matches_nothing(refused: Any) -> None:
    assert "matches none of" in refused("--frozen", "stemm.*")


def test_a_batch_too_large_for_the_memory_is_halved_and_said(forgetaudit: Any, workplace: Path) -> None:
    source = (
        "import torch\nfrom digits import DigitNet\nclass Small(DigitNet):\n    def forward(self, x):\n"
        "        if len(x) > 20:\n            raise torch.OutOfMemoryError('out of memory')\n"
        "        return super().forward(x)\n"
    )
    (workplace / "small.py").write_text(source + "def build():\n    return Small()\n")
    words = ["compare", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--max-drop", "2pt"]
    run = forgetaudit(*words, "--model", "small.py:build", cwd=workplace)
    assert run.code == 1
    assert "64 examples at once do not fit in memory: going on with 32" in run.err
    assert "forgotten 234 · gained 3" in run.out

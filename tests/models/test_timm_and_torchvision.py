"""timm is named with the recipe that does not replace torch; a torchvision that cannot load is made to."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file
from tests.models import tiny

from forgetaudit.errors import ModelError
from forgetaudit.models.evidence import find_evidence
from forgetaudit.models.extras import import_extra, recipe
from forgetaudit.models.from_timm import TimmArchitecture
from forgetaudit.models.torchvision_repair import is_the_known_break

# As the published wheel behaves beside a CPU build of torch: the import asks for operators that nobody registered.
BROKEN = """
import torch
import torchvision.half_done
torch.library.register_fake("torchvision::nms")(lambda dets, scores, threshold: dets)
if not torch._C._jit_get_schemas_for_operator("torchvision::qnms"):
    raise RuntimeError("operator torchvision::qnms does not exist")
__version__ = "0.0"
"""


def ran(tmp_path: Path, source: str, program: str) -> str:
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(source)
    (package / "half_done.py").touch()
    environment = {"PYTHONPATH": f"{tmp_path}", "PATH": ""}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    return (run.stdout + run.stderr).strip().splitlines()[-1]


IMPORT = "from forgetaudit.models.torchvision_repair import import_torchvision; print(import_torchvision().__version__)"


def test_a_torchvision_without_its_operators_is_broken(tmp_path: Path) -> None:
    assert "does not exist" in ran(tmp_path, BROKEN, "import torchvision")


def test_it_can_be_imported_after_the_repair(tmp_path: Path) -> None:
    assert ran(tmp_path, BROKEN, IMPORT) == "0.0"


def test_what_is_broken_otherwise_is_not_touched(tmp_path: Path) -> None:
    assert "RuntimeError: of my own" in ran(tmp_path, "raise RuntimeError('of my own')", IMPORT)
    assert not is_the_known_break(ImportError("operator torchvision::nms does not exist"))


def test_a_torchvision_that_works_is_left_alone(tmp_path: Path) -> None:
    assert ran(tmp_path, "__version__ = '1.0'", IMPORT) == "1.0"


def test_a_missing_extra_is_named_with_its_command() -> None:
    with pytest.raises(ModelError, match="this needs no_such_library, which is not installed"):
        import_extra("no_such_library", needed_for="this")
    assert recipe("peft") == "pip install 'forgetaudit[transformers]'"
    assert "--no-deps torchvision==" in recipe("timm")


def timm_folder(path: Path) -> Path:
    config = {"architecture": "resnet10t", "num_classes": 3, "pretrained_cfg": {"mean": [0.5] * 3}}
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    save_file(tiny.vit().state_dict(), path / "model.safetensors")
    return path


def test_a_folder_of_timm_without_timm_names_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # as where it is not installed
    with pytest.raises(ModelError, match="needs timm, which is not installed") as refused:
        TimmArchitecture(find_evidence(timm_folder(tmp_path / "model")))
    assert "pip install --no-deps torchvision" in str(refused.value.hint)

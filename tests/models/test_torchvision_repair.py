"""A torchvision that cannot load is made to, where it fails with that very error; with or without it, pixels stay."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from forgetaudit.errors import ModelError
from forgetaudit.models.extras import import_extra, recipe
from forgetaudit.models.images import ImagePreparation
from forgetaudit.models.torchvision_repair import import_torchvision, is_the_known_break, was_repaired

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


# As where nobody installed it: found by nothing, imported by nothing.
WITHOUT = "import sys; sys.modules['torchvision'] = None; "
FIXTURES = Path(__file__).parent.parent / "fixtures"


def said(program: str) -> str:
    """The last line of a process of its own."""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return (run.stdout + run.stderr).strip().splitlines()[-1]


def test_the_torchvision_that_is_installed_is_repaired_only_where_it_is_broken() -> None:
    plain = said("import torchvision; print('works')")
    # The wheel of PyPI beside a torch without CUDA; one that was built for this torch works.
    assert plain == "works" or plain.startswith("RuntimeError: operator torchvision::")
    import_torchvision()
    assert was_repaired() == (plain != "works")
    import timm
    import torchvision.ops
    import torchvision.transforms.v2

    assert torchvision.transforms.v2.Resize(4)(torch.zeros(1, 8, 8)).shape == (1, 4, 4)
    assert timm.__version__


# What a build that fits registers when its library is loaded.
REGISTERED = """
import torch
library = torch.library.Library("torchvision", "FRAGMENT")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def test_the_torchvision_that_is_installed_is_left_alone_where_its_operators_are_there() -> None:
    prelude = REGISTERED if was_repaired() else ""
    program = "from forgetaudit.models.torchvision_repair import *\nprint(import_torchvision().__name__, was_repaired())"
    assert said(prelude + program) == "torchvision False"


def test_a_process_that_has_already_failed_on_it_can_still_be_repaired() -> None:
    program = """
try:
    from transformers import ViTImageProcessor
except Exception:
    pass
from forgetaudit.models.torchvision_repair import import_torchvision
import_torchvision()
from transformers import ViTImageProcessor
print(ViTImageProcessor.__name__)
"""
    assert said(program) == "ViTImageProcessor"


def test_an_absent_torchvision_is_none_and_nothing_is_declared() -> None:
    program = (
        "from forgetaudit.models.torchvision_repair import *; print(import_torchvision(), was_repaired())"
    )
    assert said(WITHOUT + program) == "None False"


def digests() -> list[str]:
    """Of the pixels of scans that have to be enlarged, by the processors that two fixtures name."""
    scans = np.random.default_rng(0).integers(0, 256, (20, 11, 9, 3), dtype=np.uint8)
    prepared = [ImagePreparation(FIXTURES / family / "base", None) for family in ("vit", "convnext")]
    return [
        hashlib.sha256(
            b"".join(prepare(Image.fromarray(scan)).numpy().tobytes() for scan in scans)
        ).hexdigest()
        for prepare in prepared
    ]


def test_pixels_are_the_same_with_and_without_torchvision() -> None:
    """With it, transformers takes another processor by default, whose last bits differ."""
    import_torchvision()
    here = f"sys.path.insert(0, {str(FIXTURES.parents[1])!r}); "
    program = f"import importlib.util; spec = importlib.util.spec_from_file_location('here', {__file__!r}); "
    program += "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module); "
    assert said(WITHOUT + here + program + "print(module.digests())") == str(digests())


def test_timm_without_torchvision_names_what_is_missing() -> None:
    folder = str(FIXTURES / "timm-convnext" / "base")
    program = f"from forgetaudit.cli import main; raise SystemExit(main(['inspect', {folder!r}]))"
    run = subprocess.run([sys.executable, "-c", WITHOUT + program], capture_output=True, text=True)
    assert "model     not built: torchvision is not installed" in run.stdout
    assert "try       pip install --no-deps torchvision==" in run.stdout


def test_the_recipe_is_the_pair_that_the_tests_run_with() -> None:
    pinned = (Path(__file__).parents[2] / "constraints.txt").read_text().splitlines()
    pair = [line for line in pinned if line.startswith(("torchvision==", "timm=="))]
    assert f"--no-deps {' '.join(pair)}" in recipe("timm")
    assert len(pair) == 2


def test_a_missing_extra_is_named_with_its_command() -> None:
    with pytest.raises(ModelError, match="this needs no_such_library, which is not installed"):
        import_extra("no_such_library", needed_for="this")
    assert recipe("peft") == "pip install 'forgetaudit[transformers]'"
    assert "--no-deps torchvision==" in recipe("timm")
